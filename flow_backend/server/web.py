"""The web app's files: a list made at start, so that no path of a request is ever joined."""

import gzip
import mimetypes
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio
from attrs import field, frozen
from starlette.requests import Request
from starlette.responses import Response

_HASHED: Final = re.compile(r"/assets/.*[-.][0-9A-Za-z_-]{8,}\.[0-9A-Za-z.]+")
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_INDEX: Final = "/index.html"
_TYPES: Final = {".js": "text/javascript", ".webmanifest": "application/manifest+json"} | {
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
_TEXTS: Final = ("text/", "application/json", "application/manifest+json", "image/svg+xml")
_WORTH_COMPRESSING_BYTES: Final = 1024
_SAFE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
}


@frozen
class WebFile:
    """One file that may be served, and the headers that go with it."""

    path: Path
    media_type: str
    headers: Mapping[str, str]
    is_text: bool = False


@frozen
class WebFolder:
    """A built web app, by the paths of its addresses.

    A path that names no file is a place inside the app, and gets its page: the app's own router
    knows what to show. A path that looks like a file (with a dot) is not found.
    """

    files: Mapping[str, WebFile]
    # What was compressed once is kept: a build is small, and asked for again and again.
    _compressed: dict[Path, bytes] = field(factory=dict[Path, bytes])

    async def __call__(self, request: Request) -> Response:
        """Answer a request for a file."""
        file = self._find(request.url.path)
        if file is None:
            return Response("Not found", 404, media_type="text/plain")
        if request.headers.get("if-none-match") == file.headers["ETag"]:
            return Response(status_code=304, headers=file.headers)
        if file.is_text and "gzip" in request.headers.get("accept-encoding", ""):
            headers = {**file.headers, "Content-Encoding": "gzip"}
            return Response(await self._compress(file), media_type=file.media_type, headers=headers)
        content = await trio.Path(file.path).read_bytes()
        return Response(content, media_type=file.media_type, headers=file.headers)

    async def _compress(self, file: WebFile) -> bytes:
        if file.path not in self._compressed:
            content = await trio.Path(file.path).read_bytes()
            self._compressed[file.path] = await trio.to_thread.run_sync(gzip.compress, content)
        return self._compressed[file.path]

    def _find(self, path: str) -> WebFile | None:
        file = self.files.get(path)
        if file is None and "." not in path.rpartition("/")[2]:
            file = self.files.get(_INDEX)
        return file


def list_web_folder(folder: Path) -> WebFolder:
    """Take stock of a folder. Links that lead out of it are left out.

    What has a hash in its name never changes, and is kept by browsers; the rest is asked for anew.
    """
    root = folder.resolve()
    files: dict[str, WebFile] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.resolve().is_relative_to(root):
            address = f"/{path.relative_to(root).as_posix()}"
            files[address] = _web_file(path, address)
    return WebFolder(files)


def _web_file(path: Path, address: str) -> WebFile:
    found = os.stat(path)
    guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    media_type = guessed or "application/octet-stream"
    is_text = media_type.startswith(_TEXTS) and found.st_size >= _WORTH_COMPRESSING_BYTES
    headers = {
        **_SAFE,
        "Cache-Control": _FOREVER if _HASHED.fullmatch(address) else _ASK_AGAIN,
        "ETag": f'"{found.st_mtime_ns:x}-{found.st_size:x}"',
    }
    if is_text:
        headers["Vary"] = "Accept-Encoding"
    return WebFile(path, media_type, headers, is_text)
