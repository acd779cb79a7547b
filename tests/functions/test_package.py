"""A package that comes over the wire: what is damaged or cannot be unpacked is refused in words."""

import io
import threading
import zipfile
from pathlib import Path

import pytest

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.loader import load_version
from flow_backend.functions.package import unzip_package


def zipped(files: dict[str, str], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", how) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return target.getvalue()


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_zip_is_refused(how: int) -> None:
    """Wherever it is damaged, and however it is packed."""
    whole = zipped({"app/__init__.py": "one = 1\n" * 500}, how)
    refused = 0
    for place in range(30, 80):
        damaged = bytearray(whole)
        damaged[place] ^= 0x5A
        damaged[place + 1] ^= 0xFF
        try:
            unzip_package(bytes(damaged))
        except AppDefinitionError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("app/data", "'app/data' as a file and as a folder"),
        (f"app/{'a' * 253}.py", "no disk would take"),
        (f"app/{'a/' * 600}x.py", "no disk would take"),
    ],
)
def test_paths_that_cannot_be_unpacked_are_refused(path: str, said: str) -> None:
    with pytest.raises(AppDefinitionError, match=said):
        unzip_package(zipped({"app/__init__.py": "", path: "", "app/data/one.txt": ""}))


def test_a_module_that_raises_ctrl_c_in_a_thread_is_refused(tmp_path: Path) -> None:
    """Ctrl-C itself comes to the main thread alone; from there a deploy imports nothing."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/__init__.py").write_text("raise KeyboardInterrupt\n")
    said: list[str] = []

    def load() -> None:
        try:
            load_version(tmp_path, "app", 7)
        except AppDefinitionError as error:
            said.append(str(error))

    thread = threading.Thread(target=load)
    thread.start()
    thread.join(60)

    assert [each.partition(": ")[2] for each in said] == ["KeyboardInterrupt: "]
