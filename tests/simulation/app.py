"""The app of the simulation, and what each of its queries should say: worked out naively."""

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import trio

from flow_backend import (
    ActionCtx,
    AppError,
    Document,
    Index,
    MutationCtx,
    QueryCtx,
    action,
    document,
    internal_mutation,
    mutation,
    query,
)
from flow_backend.functions.function import Function
from flow_backend.functions.registry import App, make_app
from flow_backend.schema.pages import Page, PaginationOptions
from flow_backend.testing.client import QueryOutcome
from flow_backend.values.value import JsonValue
from tests.simulation import jobs_app
from tests.simulation.applied import Applied


@document("entries")
class Entry(Document):
    list: str
    token: str
    by_list = Index("list", "token")


@document("counters")
class Counter(Document):
    name: str
    value: int
    by_name = Index("name")


@document("lefts")
class Left(Document):
    key: str
    amount: int
    by_key = Index("key")


@document("rights")
class Right(Document):
    key: str
    amount: int
    by_key = Index("key")


@document("notes")
class Note(Document):
    owner: str
    text: str
    by_owner = Index("owner")


def _apply(ctx: MutationCtx, token: str) -> None:
    ctx.db.insert(Applied(token=token))


@mutation
def append(ctx: MutationCtx, token: str, to: str) -> str:
    _apply(ctx, token)
    ctx.db.insert(Entry(list=to, token=token))
    return token


@mutation
def remove_first(ctx: MutationCtx, token: str, of: str) -> str | None:
    _apply(ctx, token)
    first = ctx.db.scan(Entry.by_list[of]).first()
    if first is None:
        return None
    ctx.db.delete(first.id)
    return first.token


@mutation
def move_first(ctx: MutationCtx, token: str, of: str, to: str) -> None:
    _apply(ctx, token)
    first = ctx.db.scan(Entry.by_list[of]).first()
    if first is not None:
        ctx.db.patch(first.id, list=to)


@mutation
def count(ctx: MutationCtx, token: str, name: str) -> int:
    _apply(ctx, token)
    counter = ctx.db.scan(Counter.by_name[name]).first()
    if counter is None:
        ctx.db.insert(Counter(name=name, value=1))
        return 1
    ctx.db.patch(counter.id, value=counter.value + 1)
    return counter.value + 1


@mutation
def transfer(ctx: MutationCtx, token: str, key: str, amount: int) -> None:
    """Add to one table what it takes from the other: together they are always zero."""
    _apply(ctx, token)
    left = ctx.db.scan(Left.by_key[key]).first()
    right = ctx.db.scan(Right.by_key[key]).first()
    if left is None:
        ctx.db.insert(Left(key=key, amount=amount))
    else:
        ctx.db.patch(left.id, amount=left.amount + amount)
    if right is None:
        ctx.db.insert(Right(key=key, amount=-amount))
    else:
        ctx.db.patch(right.id, amount=right.amount - amount)


@mutation
def note(ctx: MutationCtx, token: str) -> None:
    _apply(ctx, token)
    identity = ctx.auth.identity
    ctx.db.insert(Note(owner="" if identity is None else identity.subject, text=token))


@mutation
def fail(ctx: MutationCtx, token: str) -> None:
    """Write, and then say no: nothing of it may ever be seen."""
    _apply(ctx, token)
    raise AppError("no")


@mutation
def look(ctx: MutationCtx) -> float:
    """Write nothing."""
    return sum(each.value for each in ctx.db.scan(Counter))


@internal_mutation
def append_inside(ctx: MutationCtx, token: str, to: str) -> None:
    _apply(ctx, token)
    ctx.db.insert(Entry(list=to, token=token))


@action
async def append_later(ctx: ActionCtx, token: str, to: str, seconds: float) -> str:
    await trio.sleep(seconds)
    await ctx.run(append_inside, token=token, to=to)
    return token


@query
def entries(ctx: QueryCtx, of: str) -> list[str]:
    return [each.token for each in ctx.db.scan(Entry.by_list[of])]


@query
def first_entries(ctx: QueryCtx, of: str, most: int) -> list[str]:
    return [each.token for each in ctx.db.scan(Entry.by_list[of]).take(most)]


@query
def last_entry(ctx: QueryCtx, of: str) -> str | None:
    last = ctx.db.scan(Entry.by_list[of]).desc().first()
    return None if last is None else last.token


@query
def counter(ctx: QueryCtx, name: str) -> int | None:
    found = ctx.db.scan(Counter.by_name[name]).first()
    return None if found is None else found.value


@query
def sums(ctx: QueryCtx) -> int:
    lefts = sum(each.amount for each in ctx.db.scan(Left))
    return lefts + sum(each.amount for each in ctx.db.scan(Right))


@query
def pair(ctx: QueryCtx, key: str) -> list[int]:
    left = ctx.db.scan(Left.by_key[key]).first()
    right = ctx.db.scan(Right.by_key[key]).first()
    return [left.amount if left else 0, right.amount if right else 0]


@query
def my_notes(ctx: QueryCtx) -> list[str]:
    identity = ctx.auth.identity
    owner = "" if identity is None else identity.subject
    return [each.text for each in ctx.db.scan(Note.by_owner[owner])]


@query
def notes_if_counted(ctx: QueryCtx, name: str) -> list[str]:
    """Look at the identity only sometimes: the live query splits in the middle of its life."""
    found = ctx.db.scan(Counter.by_name[name]).first()
    if found is None or found.value % 2 == 0:
        return []
    identity = ctx.auth.identity
    owner = "" if identity is None else identity.subject
    return [each.text for each in ctx.db.scan(Note.by_owner[owner])]


@query
def few_entries(ctx: QueryCtx, of: str) -> int:
    """Fail when there are many."""
    found = ctx.db.scan(Entry.by_list[of]).take(4)
    if len(found) > 3:
        raise AppError(f"many in {of}")
    return len(found)


@query
def page(ctx: QueryCtx, of: str, pagination_opts: PaginationOptions) -> Page[Entry]:
    return ctx.db.scan(Entry.by_list[of]).paginate(pagination_opts)


def _sim_app(jobs: Mapping[str, Function[..., Any]]) -> App:
    functions: list[Function[..., Any]] = [
        *(append, remove_first, move_first, count, transfer, note, fail, look, append_inside),
        *(append_later, entries, first_entries, last_entry, counter, sums, pair, my_notes),
        *(notes_if_counted, few_entries, page),
    ]
    documents = [Entry, Counter, Left, Right, Note, Applied, *jobs_app.DOCUMENTS]
    return make_app("sim", documents, {**{f"s:{each.name}": each for each in functions}, **jobs})


APP = _sim_app(jobs_app.NOW)
LATER = _sim_app(jobs_app.LATER)
"""The app's next version, in which functions that jobs name are gone or take other arguments."""


# --- The naive evaluator --------------------------------------------------------------------------

Row = Mapping[str, JsonValue]
Tables = Mapping[str, list[Row]]
"""All rows of each table, in the order of their creation."""


def _entries(tables: Tables, of: JsonValue) -> list[JsonValue]:
    return [*sorted(str(row["token"]) for row in tables["entries"] if row["list"] == of)]


def _amount(tables: Tables, table: str, key: JsonValue) -> JsonValue:
    return next((row["amount"] for row in tables[table] if row["key"] == key), 0)


def _notes(tables: Tables, who: str | None) -> list[JsonValue]:
    return [row["text"] for row in tables["notes"] if row["owner"] == (who or "")]


def _counter(tables: Tables, name: JsonValue) -> JsonValue:
    return next((row["value"] for row in tables["counters"] if row["name"] == name), None)


def _few(tables: Tables, args: Row) -> QueryOutcome:
    size = len(_entries(tables, args["of"]))
    return QueryOutcome(f"many in {args['of']}", True) if size > 3 else QueryOutcome(size)


def _numbers(tables: Tables, table: str) -> float:
    return sum(float(str(row["amount"])) for row in tables[table])


def _states(tables: Tables) -> list[JsonValue]:
    states: list[Any] = [row["state"] for row in tables["_scheduled_functions"]]
    return [state["kind"] for state in states]


_NAIVE: Mapping[str, Callable[[Tables, Row, str | None], JsonValue]] = {
    "s:entries": lambda t, a, _: _entries(t, a["of"]),
    "s:first_entries": lambda t, a, _: _entries(t, a["of"])[: int(float(str(a["most"])))],
    "s:last_entry": lambda t, a, _: [None, *_entries(t, a["of"])][-1],
    "s:counter": lambda t, a, _: _counter(t, a["name"]),
    "s:sums": lambda t, _a, _: _numbers(t, "lefts") + _numbers(t, "rights"),
    "s:pair": lambda t, a, _: [_amount(t, "lefts", a["key"]), _amount(t, "rights", a["key"])],
    "s:states": lambda t, _a, _: _states(t),
    "s:my_notes": lambda t, _a, who: _notes(t, who),
    "s:notes_if_counted": lambda t, a, who: (
        _notes(t, who) if int(float(str(_counter(t, a["name"]) or 0))) % 2 else []
    ),
}


PAGE = "s:page"
PASSED = "s:passed"


def _position(cursor: object) -> str | None:
    """Give the token behind which a cursor stands; "" for the beginning, None for the end."""
    if cursor is None:
        return ""
    place: Any = orjson.loads(urlsafe_b64decode(str(cursor)))[1]
    return None if place is None else str(place[1])


def wrong_page(tables: Tables, args: Row, shown: QueryOutcome | None) -> str | None:
    """Say what is wrong with a page: it must be all that lies between its two cursors."""
    if shown is None or shown.failed:
        return f"a page failed: {shown}"
    options: Any = args["paginationOpts"]
    found: Any = shown.value
    start, end = _position(options["cursor"]), _position(found["continueCursor"])
    if start is None:
        right: list[JsonValue] = []
    else:
        tokens = [str(token) for token in _entries(tables, args["of"])]
        right = [token for token in tokens if token > start and (end is None or token <= end)]
    tokens_shown = [row["token"] for row in found["page"]]
    if tokens_shown != right or found["isDone"] != (end is None):
        return f"between {start} and {end} it shows {found}, right is {right}"
    return None


def expected(tables: Tables, path: str, args: Row, who: str | None) -> QueryOutcome:
    """Say what a query should give on this state, by the simplest means."""
    if path == "s:few_entries":
        return _few(tables, args)
    return QueryOutcome(_NAIVE[path](tables, args, who))
