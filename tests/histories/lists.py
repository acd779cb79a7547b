"""An app of lists that are only appended to, kept in three ways, and its transactions."""

from collections.abc import Sequence
from random import Random
from typing import Any, cast

from attrs import frozen

from flow_backend import AppError, Document, Index, MutationCtx, QueryCtx, document, mutation, query
from flow_backend.functions.registry import App, make_app
from flow_backend.values.value import JsonValue
from tests.histories.checker import Append, Read

KEYS = ("rows 1", "rows 2", "box 1", "box 2", "chain 1", "chain 2")
"""Three tables: a row for each value; a document for each list; rows numbered within their list."""


@document("entries")
class Entry(Document):
    list: str
    value: float
    by_list = Index("list")


@document("boxes")
class Box(Document):
    name: str
    values: tuple[float, ...]
    by_name = Index("name", unique=True)


@document("links")
class Link(Document):
    list: str
    place: int
    value: float
    by_place = Index("list", "place", unique=True)


@frozen
class Step:
    """One operation: a value is appended, or the list is read."""

    list: str
    value: float | None = None


def _read(ctx: QueryCtx | MutationCtx, name: str) -> list[float]:
    db: Any = ctx.db
    if name.startswith("rows"):
        return [entry.value for entry in db.scan(Entry.by_list[name])]
    if name.startswith("box"):
        box = db.scan(Box.by_name[name]).unique()
        return [] if box is None else list(box.values)
    return [link.value for link in db.scan(Link.by_place[name])]


def _append(ctx: MutationCtx, name: str, value: float) -> None:
    if name.startswith("rows"):
        ctx.db.insert(Entry(list=name, value=value))
    elif name.startswith("box"):
        box = ctx.db.scan(Box.by_name[name]).unique()
        if box is None:
            ctx.db.insert(Box(name=name, values=(value,)))
        else:
            ctx.db.patch(box.id, values=(*box.values, value))
    else:
        last = ctx.db.scan(Link.by_place[name]).desc().first()
        ctx.db.insert(Link(list=name, place=0 if last is None else last.place + 1, value=value))


@mutation
def transact(ctx: MutationCtx, steps: list[Step], fails_if_even: str | None) -> list[list[float]]:
    """Append and read. Returns: what was read, in the order of the reads.

    Raises: AppError after all of it, with what was read, if the list named has an even length: so
        what was refused once may succeed later.
    """
    found = list[list[float]]()
    is_even = fails_if_even is not None and len(_read(ctx, fails_if_even)) % 2 == 0
    for step in steps:
        if step.value is None:
            found.append(_read(ctx, step.list))
        else:
            _append(ctx, step.list, step.value)
    if is_even:
        raise AppError("even")
    return found


@query
def look(ctx: QueryCtx, lists: list[str]) -> list[list[float]]:
    return [_read(ctx, name) for name in lists]


def lists_app() -> App:
    functions = {"l:transact": transact, "l:look": look}
    return make_app("lists", [Entry, Box, Link], functions)


# --- Transactions, as clients ask for them --------------------------------------------------------

Steps = list[tuple[str, int | None]]


def random_steps(random: Random, value: int) -> tuple[Steps, str | None, int]:
    """Draw a transaction whose values begin at ``value``. Returns also the next free value."""
    steps: Steps = []
    for _ in range(random.randrange(1, 5)):
        name = random.choice(KEYS)
        if random.random() < 0.55:
            steps.append((name, value))
            value += 1
        else:
            steps.append((name, None))
    return steps, random.choice(KEYS) if random.random() < 0.15 else None, value


def arguments(steps: Steps, fails_if_even: str | None) -> dict[str, JsonValue]:
    """Give the arguments of ``l:transact``."""
    wire: list[JsonValue] = [
        {"list": name, "value": None if value is None else float(value)} for name, value in steps
    ]
    return {"steps": wire, "fails_if_even": fails_if_even}


def operations(steps: Steps, found: JsonValue | None) -> tuple[Append | Read, ...]:
    """Give what a transaction did, with what it says it read; without an answer, its appends."""
    done = list[Append | Read]()
    reads = iter(as_lists(found)) if found is not None else None
    for name, value in steps:
        if value is not None:
            done.append(Append(name, value))
        elif reads is not None:
            done.append(Read(name, next(reads)))
    return tuple(done)


def as_lists(found: JsonValue) -> Sequence[tuple[int, ...]]:
    return [tuple(int(value) for value in each) for each in cast("list[list[float]]", found)]
