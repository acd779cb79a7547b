"""The same work called and scheduled, live queries that wait, actions that hang."""

from bench.apps.timed.schema import Ran
from flow_backend import ActionCtx, Instant, MutationCtx, QueryCtx, action, mutation, query


@mutation
def note(ctx: MutationCtx, number: int, due: Instant) -> None:
    """Note that it ran, and how late."""
    ctx.db.insert(Ran(number=number, late=ctx.clock.now() - due))


@mutation
def plan(ctx: MutationCtx, first: int, count: int, due: Instant) -> None:
    """Schedule the work for consecutive numbers, all at one instant."""
    for number in range(first, first + count):
        ctx.scheduler.run_at(due, note, number=number, due=due)


@query
def late(ctx: QueryCtx, first: int, stop: int) -> list[float]:
    """Give how late each run began, in ms, by numbers from ``first`` to before ``stop``."""
    return [each.late for each in ctx.db.scan(Ran.by_number[first:stop])]


@query
def passed(ctx: QueryCtx, at: Instant) -> bool:
    """Say whether an instant has passed."""
    return ctx.clock.passed(at)


@action
async def hang(ctx: ActionCtx, url: str) -> None:
    """Call a server that never answers."""
    await ctx.http.get(url)


@mutation
def start_hanging(ctx: MutationCtx, count: int, url: str) -> None:
    """Schedule calls of a server that never answers."""
    for _ in range(count):
        ctx.scheduler.run_after(0, hang, url=url)
