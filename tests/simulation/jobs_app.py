"""The part of the simulation's app that schedules: jobs of all kinds, and what each has left."""

from collections.abc import Callable
from typing import Any

import trio

from flow_backend import (
    ActionCtx,
    AppError,
    Document,
    Id,
    Index,
    Instant,
    MutationCtx,
    QueryCtx,
    Retry,
    ScheduledFunction,
    action,
    document,
    internal_mutation,
    mutation,
    query,
)
from flow_backend.errors import InvalidArguments, InvalidScheduledFunction
from flow_backend.functions.function import Function
from tests.simulation.simapp.schema import Applied

ATTEMPTS = 3
KINDS = ("work", "work", "work", "fail", "chain", "act", "act_fail", "steady", "gone", "unfit")


@document("planned")
class Planned(Document):
    """One row for each job, written with it. ``canceled``: where it stood when it was canceled."""

    token: str
    kind: str
    job: Id[ScheduledFunction]
    canceled: str | None = None
    by_token = Index("token")


@document("ran")
class Ran(Document):
    """One row for each time that a job took effect; ``at`` by the clock of its transaction."""

    token: str
    at: Instant


class Outside:
    """The world that an action changes and no transaction can: whoever listens is told."""

    tell: Callable[[str], None] = staticmethod(lambda token: None)


@internal_mutation
def work(ctx: MutationCtx, token: str, fails: bool = False) -> None:
    ctx.db.insert(Ran(token=token, at=ctx.clock.now()))
    if fails:
        raise AppError(f"{token} does not want to")


@internal_mutation
def chain(ctx: MutationCtx, token: str, left: int) -> None:
    """Leave a row, and go on with another job."""
    ctx.db.insert(Ran(token=token, at=ctx.clock.now()))
    if left:
        next_token = f"{token}+"
        job = ctx.scheduler.run_after(left % 2, chain, token=next_token, left=left - 1)
        ctx.db.insert(Planned(token=next_token, kind="chain", job=job))


@action
async def act(ctx: ActionCtx, token: str, seconds: float, fails: int = 0) -> None:
    """Change the world outside, then the database; fail the first so many times."""
    Outside.tell(token)
    await ctx.run(work, token=token)
    await trio.sleep(seconds)
    if fails and await ctx.run(times, token=token) <= fails:
        raise ValueError(f"{token} has failed")


steady = action(retry=Retry(attempts=ATTEMPTS, first_seconds=0.5))(act.call)


@internal_mutation
def gone(ctx: MutationCtx, token: str) -> None:
    """Not part of the app's next version."""
    ctx.db.insert(Ran(token=token, at=ctx.clock.now()))


@internal_mutation
def unfit(ctx: MutationCtx, token: str) -> None:
    """Takes other arguments in the app's next version."""
    ctx.db.insert(Ran(token=token, at=ctx.clock.now()))


@internal_mutation
def unfit_later(ctx: MutationCtx, token: str, size: int) -> None:
    ctx.db.insert(Ran(token=token, at=ctx.clock.now()))


def _schedule(
    ctx: MutationCtx, token: str, kind: str, seconds: float, fails: int
) -> Id[ScheduledFunction]:
    after = ctx.scheduler.run_after
    match kind:
        case "work" | "fail":
            return after(seconds, work, token=token, fails=kind == "fail")
        case "chain":
            return after(seconds, chain, token=token, left=3)
        case "act" | "act_fail":
            return after(seconds, act, token=token, seconds=0.3, fails=9 * (kind == "act_fail"))
        case "steady":
            return after(seconds, steady, token=token, seconds=0.1, fails=fails)
        case "gone":
            return after(seconds, gone, token=token)
        case _:
            return after(seconds, unfit, token=token)


@mutation
def plan(
    ctx: MutationCtx, token: str, kinds: list[str], seconds: list[float], fails: bool = False
) -> None:
    """Schedule so many jobs; or say no after it, so that there is none of them."""
    ctx.db.insert(Applied(token=token))
    for number, (kind, each) in enumerate(zip(kinds, seconds, strict=True)):
        name = f"{token}/{number}"
        try:
            job = _schedule(ctx, name, kind, each, fails=number % 4)
        except (InvalidArguments, InvalidScheduledFunction):
            assert kind in {"gone", "unfit"}, kind
            continue  # This is the app's next version, which has no such function.
        ctx.db.insert(Planned(token=name, kind=kind, job=job))
    if fails:
        raise AppError("no plan")


@mutation
def unplan(ctx: MutationCtx, token: str, of: str) -> None:
    """Cancel a job, if there is one, and note where it stood."""
    ctx.db.insert(Applied(token=token))
    for planned in ctx.db.scan(Planned.by_token[of]):
        job = ctx.db.get(planned.job)
        assert job is not None
        ctx.scheduler.cancel(planned.job)
        if job.state.kind in {"pending", "inProgress"}:
            ctx.db.patch(planned.id, canceled=job.state.kind)


@query
def times(ctx: QueryCtx, token: str) -> int:
    return sum(row.token == token for row in ctx.db.scan(Ran))


@query
def states(ctx: QueryCtx) -> list[str]:
    """The states of all jobs: a live query like any other."""
    return [job.state.kind for job in ctx.db.scan(ScheduledFunction)]


@query
def passed(ctx: QueryCtx, instant: float) -> bool:
    return ctx.clock.passed(Instant(instant))


DOCUMENTS = (Planned, Ran)
NAMED: dict[str, Function[..., Any]] = {
    "s:work": work,
    "s:chain": chain,
    "s:act": act,
    "s:steady": steady,
    "s:plan": plan,
    "s:unplan": unplan,
    "s:times": times,
    "s:states": states,
    "s:passed": passed,
}
NOW = {**NAMED, "s:gone": gone, "s:unfit": unfit}
LATER = {**NAMED, "s:unfit": unfit_later}
