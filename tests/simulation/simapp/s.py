"""The simulation's functions; all but those that schedule."""

import trio

from flow_backend import (
    ActionCtx,
    AppError,
    MutationCtx,
    QueryCtx,
    action,
    internal_mutation,
    mutation,
    query,
)
from flow_backend.schema.pages import Page, PaginationOptions
from tests.simulation.simapp.number import NUMBER
from tests.simulation.simapp.schema import Applied, Counter, Entry, Left, Note, Right


def _apply(ctx: MutationCtx, token: str) -> None:
    ctx.db.insert(Applied(token=token, version=NUMBER))


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
