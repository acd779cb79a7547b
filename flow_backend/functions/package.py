"""An app's package as it travels: its files in one zip, known by what they hold."""

import hashlib
import io
import zlib
from collections.abc import Mapping
from keyword import iskeyword
from pathlib import Path, PurePosixPath
from typing import Final

from attrs import field

from flow_backend.errors import AppDefinitionError
from flow_backend.records import frozen

FILE_BYTES_MAX: Final = 2**20
PACKAGE_BYTES_MAX: Final = 64 * 2**20
ZIP_BYTES_MAX: Final = 50 * 2**20
FILES_MAX: Final = 10_000
_ENTRY_MARK: Final = b"PK\x01\x02"
_NAME_BYTES_MAX: Final = 255
_PATH_BYTES_MAX: Final = 1_024
_LEFT_OUT: Final = frozenset({"__pycache__", "node_modules"})
_WHEN: Final = (1980, 1, 1, 0, 0, 0)
"""What a zip must have for a file's time; it says nothing, so that equal files give equal zips."""


@frozen
class Package:
    """A package's files.

    Attributes:
        name: of the Python package.
        files: their bytes by path, ``/`` between the parts, from the folder that holds the package.
        digest: of all of them, the same wherever and whenever they were read.
    """

    name: str
    files: Mapping[str, bytes] = field(repr=False)
    digest: str


def read_package_folder(folder: Path) -> Package:
    """Read the package that ``folder`` is: its Python files, and other files up to 1 MiB.

    The web app and hidden files stay out.

    Raises: AppDefinitionError if it is no package, or too large.
    """
    if not (folder / "__init__.py").is_file():
        raise AppDefinitionError(
            f"{folder} is no package: an app is a folder with an __init__.py, a schema.py and its "
            "functions"
        )
    files: dict[str, bytes] = {}
    _read_below(folder, PurePosixPath(folder.name), files)
    return package_of(folder.name, files)


def _read_below(folder: Path, place: PurePosixPath, files: dict[str, bytes]) -> None:
    for each in sorted(folder.iterdir()):
        if each.name.startswith(".") or each.name in _LEFT_OUT:
            continue
        inside = place / each.name
        if each.is_dir():
            if len(place.parts) > 1 or each.name != "web":
                _read_below(each, inside, files)
        elif each.is_file() and (each.suffix == ".py" or each.stat().st_size <= FILE_BYTES_MAX):
            files[inside.as_posix()] = each.read_bytes()


def package_of(name: str, files: Mapping[str, bytes]) -> Package:
    """Make a package of its files.

    Raises: AppDefinitionError if it is too large.
    """
    size = sum(map(len, files.values()))
    if size > PACKAGE_BYTES_MAX or len(files) > FILES_MAX:
        raise AppDefinitionError(
            f"The package {name!r} has {len(files)} files of {size} bytes together; at most "
            f"{FILES_MAX} files and {PACKAGE_BYTES_MAX} bytes can be deployed. Move data out of it."
        )
    digest = hashlib.sha256()
    for path, content in sorted(files.items()):
        digest.update(f"{len(path.encode())} {len(content)} ".encode())
        digest.update(path.encode())
        digest.update(content)
    return Package(name, dict(sorted(files.items())), digest.hexdigest())


def zip_package(package: Package) -> bytes:
    """Give a package as a zip; the same files give the same bytes."""
    import zipfile  # Only a deploy needs it.

    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in package.files.items():
            entry = zipfile.ZipInfo(path, _WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return target.getvalue()


class _Listing(io.BytesIO):
    """A zip that is opened only if it lists few enough entries: each costs much more to read.

    The number that it says itself is believed by nobody; but what lists an entry begins with a
    mark, and a zip's list is read at once, and nothing but that is, until it is open.
    """

    is_open = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, as of any file. Raises: AppDefinitionError for a list that is too long."""
        piece = super().read(size)
        if not self.is_open and piece.count(_ENTRY_MARK) > FILES_MAX:
            raise AppDefinitionError(
                f"The zip lists more than {FILES_MAX} files and folders. Move data out of the "
                "package, or put small files together."
            )
        return piece


def unzip_package(zipped: bytes, name: str | None = None) -> Package:
    """Read a zip that :func:`zip_package` or another program made; ``name`` if it is known.

    Raises: AppDefinitionError if it is none, is too large, or holds anything but one package.
    """
    import lzma  # As zipfile does.
    import zipfile

    files: dict[str, bytes] = {}
    left = PACKAGE_BYTES_MAX
    try:
        source = _Listing(zipped)
        with zipfile.ZipFile(source) as archive:
            source.is_open = True
            for entry in archive.infolist():
                if entry.is_dir():
                    continue
                with archive.open(entry) as stream:
                    # No header is believed: what is unpacked counts.
                    content = stream.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise AppDefinitionError(
                        f"The package is larger than {PACKAGE_BYTES_MAX} bytes: move data out of it"
                    )
                files[_checked_path(entry.filename)] = content
    except (
        EOFError,
        OSError,  # As bz2 says it.
        RuntimeError,
        ValueError,
        lzma.LZMAError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise AppDefinitionError(f"This is no zip of a package: {error}") from None
    if both := next((each for path in files for each in _folders(path) & files.keys()), None):
        raise AppDefinitionError(f"The zip has {both!r} as a file and as a folder")
    tops = {path.partition("/")[0] for path in files}
    name = name or (tops.pop() if len(tops) == 1 else "")
    if f"{name}/__init__.py" not in files or any(not p.startswith(f"{name}/") for p in files):
        raise AppDefinitionError(
            "The zip must hold one package and nothing else: its folder, with an __init__.py in it"
        )
    if not name.isidentifier() or iskeyword(name):
        raise AppDefinitionError(f"{name!r} is no name of a package: Python could not import it")
    return package_of(name, files)


def _checked_path(path: str) -> str:
    parts = path.split("/")
    if any(part in {"", ".", ".."} or "\\" in part or ":" in part for part in parts):
        raise AppDefinitionError(f"The zip names a file outside of its package: {path!r}")
    if len(path.encode()) > _PATH_BYTES_MAX or any(
        len(p.encode()) > _NAME_BYTES_MAX for p in parts
    ):
        raise AppDefinitionError(
            f"The zip names a file that no disk would take: {path[:80]!r}…; a name has at most "
            f"{_NAME_BYTES_MAX} bytes, and a path {_PATH_BYTES_MAX}"
        )
    return path


def _folders(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:end]) for end in range(1, len(parts))}


def unpack(package: Package, folder: Path) -> None:
    """Write a package's files below ``folder``, where none of it stands yet."""
    for path, content in package.files.items():
        file = folder.joinpath(*path.split("/"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
