"""What a page on the web says it is called, read from its first bytes."""

import codecs
import re
from typing import TYPE_CHECKING, Final

import trio

from flow_backend import AppError

if TYPE_CHECKING:
    import httpx

READ_MAX: Final = 256 * 1024
"""How much of a page is read: its title stands at its beginning."""

SECONDS_MAX: Final = 10.0
TITLE_MAX: Final = 300

_HEADERS: Final = {
    "Accept": "text/html,application/xhtml+xml",
    # A small answer could be packed so that it fills the memory when it is unpacked.
    "Accept-Encoding": "identity",
    "User-Agent": "Flow (titles of links)",
}
_PAGES: Final = frozenset({"", "text/html", "application/xhtml+xml"})
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?\s*([\w:.-]+)""", re.IGNORECASE)
_HEAD_END: Final = b"</head>"
_DECLARED_WITHIN: Final = 4_096
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


async def title_at(http: "httpx.AsyncClient", url: str) -> str | None:
    """Fetch the title of the page at an address; None if it has none.

    Raises: AppError that says why there is no page to read.
    """
    import httpx

    try:
        with trio.fail_after(SECONDS_MAX):
            start, content_type = await _start_of(http, url)
    except trio.TooSlowError as error:
        raise AppError(f"{url} did not answer within {SECONDS_MAX:g} s.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        raise AppError(f"{url} cannot be read: {why}") from error
    return title_of(start, content_type)


async def _start_of(http: "httpx.AsyncClient", url: str) -> tuple[bytes, str]:
    """Give the first bytes of a page and its content type."""
    import httpx

    start = bytearray()
    async with http.stream("GET", url, headers=_HEADERS, follow_redirects=True) as response:
        if not response.is_success:
            raise AppError(f"{url} answered {response.status_code}.")
        content_type = response.headers.get("content-type", "")
        kind = content_type.partition(";")[0].strip().lower()
        if kind not in _PAGES:
            raise AppError(f"{url} is no page: it is {kind}.")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise AppError(f"{url} answers packed, though it was asked not to.")
        enough = False
        try:
            async for chunk in response.aiter_raw():
                start += chunk[: READ_MAX - len(start)]
                enough = len(start) == READ_MAX or _HEAD_END in start[-len(chunk) - 8 :].lower()
                if enough:
                    # To break off here would leave httpx's own generators unfinished.
                    await response.aclose()
        except httpx.HTTPError:
            if not enough:
                raise
    return bytes(start), content_type


def title_of(page: bytes, content_type: str) -> str | None:
    """Give the title of a page: the one that it has for those who link to it, else its own.

    Args:
        page: its first bytes.
        content_type: the header; what it says of the encoding counts before what the page says.
    """
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(_text_of(page, content_type))
    shared = tree.css_first('meta[property="og:title"][content]')
    found = [shared.attributes.get("content") if shared else None]
    # Pictures within a page have titles of their own.
    found += [node.text() for node in tree.css("head > title")]
    for title in found:
        cleaned = _clean(title or "")
        if cleaned:
            return cleaned
    return None


def _text_of(page: bytes, content_type: str) -> str:
    for mark, encoding in _MARKS:
        if page.startswith(mark):
            return page[len(mark) :].decode(encoding, "replace")
    beginning = page[:_DECLARED_WITHIN].decode("ascii", "replace")
    for declared in (content_type, beginning):
        named = _CHARSET.search(declared)
        if named is not None:
            text = _decoded(page, named[1])
            if text is not None:
                return text
    try:
        # It may be cut off amid a character.
        return codecs.getincrementaldecoder("utf-8")().decode(page)
    except UnicodeDecodeError:
        return page.decode("cp1252", "replace")


def _decoded(page: bytes, encoding: str) -> str | None:
    """Decode a page; None if there is no such encoding of text."""
    # What pages call by this name is, as browsers read it, the larger one.
    name = (
        "cp1252" if encoding.lower() in {"iso-8859-1", "latin1", "latin-1", "ascii"} else encoding
    )
    try:
        return page.decode(name, "replace")
    except (LookupError, ValueError):
        return None


def _clean(title: str) -> str:
    words = " ".join("".join(c if c.isprintable() else " " for c in title).split())
    return words if len(words) <= TITLE_MAX else words[: TITLE_MAX - 1] + "…"
