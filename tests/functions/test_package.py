"""A package that comes over the wire: what is damaged or cannot be unpacked is refused in words."""

import io
import struct
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.loader import load_version
from flow_backend.functions.package import FILES_MAX, unzip_package


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


def listing(entries: int) -> bytes:
    """Give a zip that lists its one file so many times, and says that it lists one."""
    whole = zipped({"app/__init__.py": ""}, zipfile.ZIP_STORED)
    start, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
    one, last = whole[start:end], bytearray(whole[end:])
    struct.pack_into("<L", last, 12, len(one) * entries)
    return whole[:start] + one * entries + bytes(last)


def test_a_zip_that_lists_too_many_entries_is_refused_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """50 MiB of them would take the memory and the time of a million."""
    made: list[object] = []
    real = zipfile.ZipInfo.__init__

    def count(self: zipfile.ZipInfo, *given: Any) -> None:
        made.append(self)
        real(self, *given)

    one, too_many = listing(1), listing(FILES_MAX + 1)
    monkeypatch.setattr(zipfile.ZipInfo, "__init__", count)
    unzip_package(one)
    assert len(made) == 1
    with pytest.raises(AppDefinitionError, match="lists more than 10000 files and folders"):
        unzip_package(too_many)
    assert len(made) == 1


def test_a_zip_of_many_files_may_be_a_file_of_a_package() -> None:
    """Only what the package itself lists counts."""
    inner = listing(FILES_MAX + 1)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("app/__init__.py", "")
        archive.writestr("app/data.zip", inner)

    assert unzip_package(target.getvalue()).files["app/data.zip"] == inner


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
