"""Searches find what a plain reading of the texts finds, and depend on just that."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_backend.actors.range_map import RangeMap
from flow_backend.errors import SchemaError
from flow_backend.functions.context import MutationCtx, QueryCtx
from flow_backend.functions.function import mutation, query
from flow_backend.functions.read_set import ReadSet
from flow_backend.functions.snippets import Snippet
from flow_backend.schema.document import Document, Id, document
from flow_backend.schema.model import build_schema
from flow_backend.schema.search_index import SearchIndex
from flow_backend.storage.base import Done, TableName, Write
from flow_backend.values.encode import decode
from tests.effort import cases
from tests.functions.backend import Backend, Open, open_backend, said


@document("pages")
class PageDoc(Document):
    title: str
    body: str | None = None
    tags: tuple[str, ...] = ()
    board: str = "home"
    size: float | None = None

    text = SearchIndex("title", "body", "tags", within=("board", "size"))
    titles = SearchIndex("title")


@frozen
class Found:
    page: PageDoc
    snippet: Snippet


@query
def find_in(ctx: QueryCtx, text: str, within: dict[str, Any], any_word: bool) -> list[PageDoc]:
    search = ctx.db.search(PageDoc.text, text, **within)
    return (search.any_word() if any_word else search).documents()


@query
def show(ctx: QueryCtx, text: str, field: str | None = None, words: int = 6) -> list[Found]:
    hits = ctx.db.search(PageDoc.text, text).take(5)
    return [Found(page=hit.document, snippet=hit.snippet(field, words=words)) for hit in hits]


@query
def take(ctx: QueryCtx, text: str, count: int) -> int:
    return len(ctx.db.search(PageDoc.text, text).take(count))


@mutation
def add(ctx: MutationCtx, page: dict[str, Any]) -> Id[PageDoc]:
    return ctx.db.insert(PageDoc(**{**page, "tags": tuple(page.get("tags", ()))}))


@mutation
def change(ctx: MutationCtx, id: Id[PageDoc], page: dict[str, Any]) -> None:
    ctx.db.patch(id, **{**page, "tags": tuple(page.get("tags", ()))})


@mutation
def remove(ctx: MutationCtx, id: Id[PageDoc]) -> None:
    ctx.db.delete(id)


@mutation
def clear(ctx: MutationCtx) -> None:
    for page in ctx.db.scan(PageDoc):
        ctx.db.delete(page.id)


@mutation
def add_and_find(ctx: MutationCtx, title: str, text: str, fail: bool) -> int:
    """Search for what was just written, and for what a nested mutation took back."""
    ctx.db.insert(PageDoc(title=title))
    with suppress(ValueError):
        ctx.run(add_or_fail, title=title, fail=fail)
    return len(ctx.db.search(PageDoc.text, text).collect())


@mutation
def add_or_fail(ctx: MutationCtx, title: str, fail: bool) -> None:
    ctx.db.insert(PageDoc(title=title))
    if fail:
        raise ValueError


FUNCTIONS = {
    "p:find_in": find_in,
    "p:show": show,
    "p:take": take,
    "p:add": add,
    "p:change": change,
    "p:remove": remove,
    "p:clear": clear,
    "p:add_and_find": add_and_find,
    "p:add_or_fail": add_or_fail,
}

# Each word with what it is folded to: the model must not use the tokenizer that it is held against.
WORDS = {
    "milk": ["milk"],
    "Mílk": ["milk"],
    "MILKY": ["milky"],
    "mi": ["mi"],
    "Bread": ["bread"],
    "bread-milk": ["bread", "milk"],
    'no"t*': ["no", "t"],
    "NEAR(": ["near"],
    "АБВ": ["абв"],
    "42": ["42"],
    "東京都": ["東京", "京都", "都"],
    "京都": ["京都", "都"],
    "東": ["東"],
    "!?": [],
}
SINGLE = {"東", "都"}

some_words = st.lists(st.sampled_from(sorted(WORDS)), max_size=4)
pages = st.fixed_dictionaries(
    {
        "title": some_words,
        "body": st.none() | some_words,
        "tags": some_words,
        "board": st.sampled_from(["home", "work"]),
        "size": st.none() | st.integers(0, 1),
    }
)
searches = st.fixed_dictionaries(
    {
        "text": some_words,
        "cut": st.integers(0, 2),
        "within": st.fixed_dictionaries(
            {},
            optional={
                "board": st.sampled_from(["home", "work"]),
                "size": st.none() | st.integers(0, 1),
            },
        ),
        "any_word": st.booleans(),
    }
)
changes = st.tuples(st.sampled_from(["add", "change", "remove"]), st.integers(0, 99), pages)


def written(page: dict[str, Any]) -> dict[str, Any]:
    """Give the fields of a page that is described by lists of words."""
    body = None if page["body"] is None else "\n".join(page["body"])
    return {**page, "title": " ".join(page["title"]), "body": body}


def words_in(page: dict[str, Any]) -> set[str]:
    return {
        folded
        for each in (*page["title"], *(page["body"] or ()), *page["tags"])
        for folded in WORDS[each]
    }


def asked(search: dict[str, Any]) -> dict[str, Any]:
    """Give the arguments of a search: its last word is cut short, if it is one of letters."""
    text, cut = list(search["text"]), search["cut"]
    if cut and text and text[-1].isascii() and text[-1].isalpha():
        text[-1] = text[-1][:cut]
    return {"text": " ".join(text), "within": search["within"], "any_word": search["any_word"]}


def matches(search: dict[str, Any], page: dict[str, Any]) -> bool:
    """Say, by going through the words, whether a search is to find a page."""
    terms = [folded for each in search["text"] for folded in WORDS[each]]
    if not terms or any(page[name] != value for name, value in search["within"].items()):
        return False
    last, cut = terms[-1], search["cut"]
    if cut and search["text"][-1].isascii() and search["text"][-1].isalpha():
        last = last[:cut]
    words = words_in(page)
    found = [
        any(word.startswith(term) for word in words) if term in SINGLE else term in words
        for term in terms[:-1]
    ]
    found.append(any(word.startswith(last) for word in words))
    return any(found) if search["any_word"] else all(found)


def touched(reads: ReadSet, writes: Sequence[tuple[str, Write]]) -> bool:
    """Ask the range map of a table's actor, and each range; both must say the same."""
    ranges = RangeMap[str]()
    ranges.put("other", reads.get(TableName("none"), ()))
    ranges.put("it", reads.get(TableName("pages"), ()))
    rows = [keys for _, write in writes for keys in (write.before, write.after) if keys is not None]
    met = ranges.touched_by(rows) == {"it"}
    one_by_one = any(
        keys[each.index] in each for keys in rows for each in reads.get(TableName("pages"), ())
    )
    assert met == one_by_one
    ranges.discard("it")
    assert not ranges.touched_by(rows)
    return met


Shared = Callable[[], Backend]
"""Gives one backend for all examples. Hypothesis shows its arguments: a backend is too large."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    backend = open_backend(FUNCTIONS, [PageDoc])
    yield lambda: backend
    backend.close()


PROPERTY = settings(
    max_examples=cases(2000, 20_000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.slow
@PROPERTY
@given(st.lists(pages, max_size=5), searches, changes)
def test_e3_a_search_is_run_again_exactly_when_a_row_that_it_finds_is_written(
    shared: Shared,
    before: list[dict[str, Any]],
    search: dict[str, Any],
    what: tuple[str, int, dict[str, Any]],
) -> None:
    """Nothing missed, nothing spurious; and what it finds is what going through all texts finds."""
    backend = shared()
    backend.mutate("p:clear")
    ids = [backend.mutate("p:add", page=written(page)) for page in before]
    first = backend.run("p:find_in", **asked(search))
    found = found_by(first)
    assert sorted(found) == sorted(
        ident for ident, page in zip(ids, before, strict=True) if matches(search, page)
    )

    kind, number, page = what
    rows = [page]
    if kind == "add" or not ids:
        backend.mutate("p:add", page=written(page))
    elif kind == "change":
        backend.mutate("p:change", id=ids[number % len(ids)], page=written(page))
        rows.append(before[number % len(ids)])
    else:
        backend.mutate("p:remove", id=ids[number % len(ids)])
        rows = [before[number % len(ids)]]
    writes = backend.writes
    again = backend.run("p:find_in", **asked(search))

    hit = touched(first.read_set, writes)
    assert hit == (bool(writes) and any(matches(search, row) for row in rows))
    assert isinstance(again.result, Done)
    assert isinstance(first.result, Done)
    assert hit or again.result.result == first.result.result


def found_by(run: Any) -> list[str]:
    assert isinstance(run.result, Done), run.result
    return [page["_id"] for page in decode(run.result.result)]


@pytest.mark.slow
@PROPERTY
@given(st.lists(pages, max_size=6), searches, st.integers(0, 63))
def test_e3_the_order_of_two_hits_does_not_depend_on_other_rows(
    shared: Shared, before: list[dict[str, Any]], search: dict[str, Any], kept: int
) -> None:
    """A commit elsewhere never reorders a search: what is left stands in the order it had."""
    backend = shared()
    backend.mutate("p:clear")
    ids = [backend.mutate("p:add", page=written(page)) for page in before]
    found = found_by(backend.run("p:find_in", **asked(search)))
    gone = {ident for number, ident in enumerate(ids) if not kept >> number & 1}
    for ident in gone:
        backend.mutate("p:remove", id=ident)

    left = found_by(backend.run("p:find_in", **asked(search)))

    assert left == [ident for ident in found if ident not in gone]


def test_the_better_match_comes_first(start: Open) -> None:
    """The title before the body, more words before fewer, whole before begun, then the younger."""
    backend = start(FUNCTIONS, documents=[PageDoc])
    for title, body in [
        ("apples", "buy oat milk"),
        ("milky way", ""),
        ("oat milk", ""),
        ("milk of oat", ""),
        ("milk", "a"),
        ("milk", "b"),
    ]:
        backend.mutate("p:add", page={"title": title, "body": body})

    def titles(text: str, **more: Any) -> list[str]:
        found = backend.query("p:find_in", text=text, within={}, any_word=False, **more)
        return [page["title"] + (page["body"] or "") for page in found]

    assert titles("oat milk") == ["oat milk", "milk of oat", "applesbuy oat milk"]
    assert titles("milk") == [
        "milkb",
        "milka",
        "oat milk",
        "milk of oat",
        "milky way",
        "applesbuy oat milk",
    ]


def test_a_mutation_finds_what_it_has_written_and_not_what_it_took_back(start: Open) -> None:
    """Also with a search index a savepoint is a savepoint."""
    backend = start(FUNCTIONS, documents=[PageDoc])

    assert backend.mutate("p:add_and_find", title="eggs", text="egg", fail=False) == 2
    assert backend.mutate("p:add_and_find", title="eggs", text="egg", fail=True) == 3
    assert len(backend.query("p:find_in", text="egg", within={}, any_word=False)) == 3


def test_a_snippet_shows_the_hits(start: Open) -> None:
    """In pieces: whoever shows it need not trust any markup."""
    backend = start(FUNCTIONS, documents=[PageDoc])
    body = "one two three four five six Mílk seven <b>oats</b> eight nine ten eleven"
    backend.mutate("p:add", page={"title": "Shopping", "body": body})
    backend.mutate("p:add", page={"title": "東京都の milk"})

    def snippet(text: str, **more: Any) -> list[tuple[str, bool]]:
        page = backend.query("p:show", text=text, **more)[-1]
        return [(part["text"], part["hit"]) for part in page["snippet"]["parts"]]

    assert snippet("milk oat") == [
        ("…six ", False),
        ("Mílk", True),
        (" seven <b>", False),
        ("oats", True),
        ("</b…", False),
    ]
    assert ("Shopping", False) in snippet("oats", field="title")
    assert ("".join(text for text, _ in snippet("oats", words=100))) == body
    assert snippet("京都") == [("東", False), ("京都", True), ("の milk", False)]
    refused = backend.refused_query("p:show", text="milk", field="board")
    assert "the search index is over title, body, tags" in said(refused)


def test_what_a_search_cannot_do_is_said(start: Open) -> None:
    """Each limit by its number, each wrong name with those that there are."""
    backend = start(FUNCTIONS, documents=[PageDoc])
    backend.mutate("p:add", page={"title": "milk"})

    def refusal(path: str, **args: Any) -> str:
        return said(backend.refused_query(path, **args))

    wide = " ".join(f"w{number}" for number in range(33))
    assert "at most 32 words, not 33" in refusal("p:take", text=wide, count=1)
    assert "at most 1000 characters" in refusal("p:take", text="x" * 1001, count=1)
    assert "0 to 1024" in refusal("p:take", text="milk", count=1025)
    narrowed = refusal("p:find_in", text="milk", within={"title": "a"}, any_word=False)
    assert "cannot be narrowed by 'title'" in narrowed
    assert "board, size" in narrowed
    assert backend.query("p:take", text=" ?! ", count=5) == 0
    assert backend.run("p:take", text=" ?! ", count=5).read_set == {}
    assert backend.query("p:take", text="milk", count=0) == 0


def test_a_search_index_that_cannot_be_is_refused() -> None:
    """With the class, the index and the fields that there are."""

    def declared(**attributes: Any) -> str:
        body = {"__annotations__": {"title": str, "size": int}, "__module__": __name__}
        cls = document("odd")(type("Odd", (Document,), {**body, **attributes}))
        with pytest.raises(SchemaError) as caught:
            build_schema([cls])
        return str(caught.value)

    assert "'size' holds no text" in declared(text=SearchIndex("size"))
    assert "'nothing'" in declared(text=SearchIndex("nothing"))
    assert "'nothing'" in declared(text=SearchIndex("title", within=("nothing",)))
    same = declared(one=SearchIndex("title"), two=SearchIndex("title", within=("size",)))
    assert "same texts" in same
    with pytest.raises(SchemaError, match="at least one"):
        SearchIndex()
    with pytest.raises(SchemaError, match="tuple"):
        SearchIndex("title", within="size")  # type: ignore[arg-type]
