"""Functions that say and write which version's code they are."""

from typing import Any

from flow_backend import (
    Document,
    MutationCtx,
    QueryCtx,
    document,
    internal_mutation,
    mutation,
    query,
)
from tests.simulation.simapp.extras import add_extra
from tests.simulation.simapp.number import NUMBER
from tests.simulation.simapp.schema import Applied, Entry, Note


@document("stamps")
class Stamp(Document):
    """The number of each function that had a part in one call; they are the same."""

    token: str
    numbers: list[int]
    extra: bool


@document("marks")
class Mark(Document):
    """A document that fits some versions only."""

    value: str


def _stars(note: Note) -> int:
    found: int = getattr(note, "stars", 0)
    return found


@query
def number(ctx: QueryCtx) -> int:
    """Read nothing: only another version changes it."""
    del ctx
    return NUMBER


@query
def numbers(ctx: QueryCtx) -> list[int]:
    """Give the version's number, that of a nested call, and how many stamps there are."""
    return [NUMBER, ctx.run(number), len(ctx.db.scan(Stamp).collect())]


@query
def tokens(ctx: QueryCtx) -> list[str]:
    """Give the tokens of all entries, by the index if this version has one."""
    index: Any = getattr(Entry, "by_token", None)
    if index is None:
        return sorted(each.token for each in ctx.db.scan(Entry))
    return [each.token for each in ctx.db.scan(index)]


@query
def starred(ctx: QueryCtx, stars: int) -> list[str]:
    """Give the notes of so many stars: a field that some versions have, with an index."""
    index: Any = getattr(Note, "by_stars", None)
    if index is None:
        return [each.text for each in ctx.db.scan(Note) if _stars(each) == stars]
    return [each.text for each in ctx.db.scan(index[stars])]


@internal_mutation
def stamp_inside(ctx: MutationCtx, token: str) -> int:
    """Write beside its caller."""
    ctx.db.insert(Applied(token=f"{token}.inside", version=NUMBER))
    return NUMBER


@mutation
def stamp(ctx: MutationCtx, token: str) -> int:
    """Note which versions have a part in this call."""
    ctx.db.insert(Applied(token=token, version=NUMBER))
    met = [NUMBER, ctx.run(stamp_inside, token=token), ctx.run(number)]
    ctx.db.insert(Stamp(token=token, numbers=met, extra=add_extra(ctx, token)))
    return NUMBER


@mutation
def mark(ctx: MutationCtx, token: str) -> None:
    """Leave what versions of the other kind cannot take over."""
    ctx.db.insert(Applied(token=token, version=NUMBER))
    ctx.db.insert(Mark(value="m"))


@mutation
def unmark(ctx: MutationCtx, token: str) -> None:
    """Take away all marks."""
    ctx.db.insert(Applied(token=token, version=NUMBER))
    for each in ctx.db.scan(Mark):
        ctx.db.delete(each.id)
