"""Declaring HTTP routes: which are found, and which an app cannot have."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from flow_backend import ActionCtx, HttpRequest, HttpResponse, http_action
from flow_backend.errors import AppDefinitionError, InvalidResult
from flow_backend.functions.http import HttpAction, Router
from flow_backend.functions.registry import load_app

START = "from flow_backend import ActionCtx, HttpRequest, HttpResponse, http_action\n\n"
ROUTE = """@http_action({how})
async def {name}(ctx: ActionCtx, request: HttpRequest) -> HttpResponse:
    return HttpResponse()

"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Load an app that has these modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "routed_app").mkdir()
    (tmp_path / "routed_app" / "__init__.py").touch()

    def write(**modules: str) -> Any:
        for name, text in modules.items():
            (tmp_path / "routed_app" / f"{name}.py").write_text(START + text)
        return load_app("routed_app")

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "routed_app"]:
        del sys.modules[name]


def route(method: str = "GET", path: str | None = None, prefix: str | None = None) -> HttpAction:
    @http_action(method=method, path=path, prefix=prefix)
    async def answer(ctx: ActionCtx, request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    return answer


def test_an_exact_path_comes_before_prefixes_and_the_longest_of_those_first() -> None:
    router = Router()
    routes = {
        "all": route(prefix="/"),
        "a": route(prefix="/a/"),
        "ab": route(prefix="/a/b/"),
        "exact": route(path="/a/b/c"),
        "post": route(method="POST", path="/a/b/c"),
    }
    for each in routes.values():
        router.add(each)

    def found(method: str, path: str) -> str | None:
        action = router.find(method, path)
        return next((name for name, each in routes.items() if each is action), None)

    assert found("GET", "/a/b/c") == "exact"
    assert found("HEAD", "/a/b/c") == "exact"
    assert found("POST", "/a/b/c") == "post"
    assert found("GET", "/a/b/c/") == "ab"
    assert found("GET", "/a/b/") == "ab"
    assert found("GET", "/a/b") == "a"
    assert found("GET", "/a") == "all"
    assert found("GET", "/") == "all"
    assert found("POST", "/a/b/d") is None
    assert found("GET", "") is None


def test_routes_are_collected_from_all_modules_once(load: Any) -> None:
    """One that is imported into another module stands in its own."""
    app = load(
        hooks=ROUTE.format(how='method="POST", path="/paid"', name="paid"),
        pages="from routed_app.hooks import paid\n" + ROUTE.format(how='prefix="/p/"', name="page"),
    )

    assert app.router.find("POST", "/paid").path == "hooks:paid"
    assert app.router.find("GET", "/p/1").path == "pages:page"


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("", "either a path or a prefix"),
        ('path="/a", prefix="/a/"', "either a path or a prefix"),
        ('path="a"', "a path starts with '/'"),
        ('prefix="/a"', "a prefix starts and ends with '/'"),
        ('prefix="a/"', "a prefix starts and ends with '/'"),
        ('path="/a?b=1"', "ends before '?'"),
        ('path="/.files"', "/.files is reserved"),
        ('prefix="/.files/x/"', "/.files is reserved"),
        ('method="HEAD", path="/a"', "HEAD is answered by the GET route"),
        ('method="get", path="/a"', "a method is one of GET, POST"),
    ],
)
def test_a_bad_route_is_refused_when_the_app_is_loaded(load: Any, how: str, told: str) -> None:
    """With the file and the line, and what is wrong with it."""
    with pytest.raises(AppDefinitionError) as caught:
        load(hooks=ROUTE.format(how=how, name="hook"))

    assert told in str(caught.value)
    assert "hooks.py:3: " in str(caught.value)


def test_two_equal_routes_are_refused_with_both_places(load: Any) -> None:
    """Which of them answered would be chance."""
    with pytest.raises(AppDefinitionError) as caught:
        load(
            first=ROUTE.format(how='path="/a"', name="one"),
            second=ROUTE.format(how='path="/a"', name="two"),
        )

    assert "GET /a is also the route of one" in str(caught.value)
    assert "first.py:3" in str(caught.value)
    assert "second.py:3" in str(caught.value)


def test_a_route_that_is_no_coroutine_is_refused(load: Any) -> None:
    with pytest.raises(AppDefinitionError, match="an http action is an async function"):
        load(hooks=ROUTE.format(how='path="/a"', name="a").replace("async def", "def"))


async def pieces() -> AsyncIterator[bytes]:
    yield b""


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (HttpResponse(status=101), "a status from 200 to 599"),
        (HttpResponse(headers={"a b": "x"}), "no name of a header"),
        (HttpResponse(headers={"": "x"}), "no name of a header"),
        (HttpResponse(headers={"x": "a\r\nset-cookie: b"}), "characters that no header has"),
        (HttpResponse(headers={"x": "€"}), "characters that no header has"),
        (HttpResponse(headers={"Transfer-Encoding": "chunked"}), "the server itself sets"),
        (HttpResponse(headers={"Connection": "close"}), "the server itself sets"),
        (HttpResponse(7), "bytes, a str or an asynchronous iterator"),  # type: ignore[arg-type]
        (HttpResponse(pieces(), headers={"content-length": "-1"}), "one whole number"),
    ],
)
def test_a_response_that_cannot_be_sent_is_refused(response: HttpResponse, told: str) -> None:
    """Also what would write a second header, or a second response, into the first."""
    with pytest.raises(InvalidResult, match=told):
        response.head()


def test_the_length_of_a_whole_body_is_the_servers_to_say() -> None:
    response = HttpResponse("ä", headers={"Content-Length": "99", "Content-Type": "text/x"})

    assert response.head().headers == ((b"content-type", b"text/x"), (b"content-length", b"2"))
