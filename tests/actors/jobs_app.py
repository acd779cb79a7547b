"""An app whose jobs leave a row for each time they ran: what ran twice stands there twice."""

from typing import Any

import trio
from attrs import define

from flow_backend.actors.messages.calls import Call
from flow_backend.errors import AppError, InvalidCall
from flow_backend.functions.context import ActionCtx, Caller, MutationCtx, QueryCtx
from flow_backend.functions.function import (
    Function,
    action,
    internal_mutation,
    mutation,
    query,
)
from flow_backend.functions.registry import App, make_app
from flow_backend.functions.retry import Retry
from flow_backend.schema.document import Document, Id, Instant, document
from flow_backend.schema.system import ScheduledFunction
from flow_backend.storage.base import Done
from flow_backend.values.encode import decode
from tests.actors.stage import Stage

JobId = Id[ScheduledFunction]


@document("effects")
class Effect(Document):
    token: str
    at: Instant
    identity: str | None


@internal_mutation
def work(ctx: MutationCtx, token: str, fails: bool = False) -> None:
    identity = ctx.auth.identity
    ctx.db.insert(
        Effect(
            token=token,
            at=ctx.clock.now(),
            identity=None if identity is None else identity.subject,
        )
    )
    if fails:
        raise AppError(f"{token} does not want to")


@action
async def call_out(ctx: ActionCtx, token: str, seconds: float = 0.0, fails: int = 0) -> None:
    """Do something for some seconds; it fails the first so many times."""
    await ctx.run(work, token=token)
    await trio.sleep(seconds)
    done = len(await ctx.run(effects, token=token))
    if done <= fails:
        raise ValueError(f"{token} failed for the {done}. time")
    await ctx.scheduler.run_after(0, work, token=f"{token} went on")


steady = action(retry=Retry(attempts=3, first_seconds=10.0))(call_out.call)


@action(retry=Retry(attempts=3, first_seconds=10.0))
async def mistaken(ctx: ActionCtx, token: str, seconds: float = 0.0, fails: int = 0) -> None:
    """Call something as it cannot be called: no other attempt will end otherwise."""
    await ctx.run(work, token=token)
    raise InvalidCall("there is no such thing")


@action
async def cancel_after(ctx: ActionCtx, token: str) -> None:
    """Schedule something for later, and take that back."""
    job = await ctx.scheduler.run_after(5, work, token=token)
    await ctx.scheduler.run_at(ctx.clock.now(), work, token=f"{token} now")
    await ctx.scheduler.cancel(job)


@query
def effects(ctx: QueryCtx, token: str) -> list[Effect]:
    return [each for each in ctx.db.scan(Effect) if each.token == token]


@query
def all_effects(ctx: QueryCtx) -> list[tuple[str, float]]:
    return [(each.token, each.at) for each in ctx.db.scan(Effect)]


@query
def states(ctx: QueryCtx) -> list[tuple[str, str | None]]:
    return [(job.state.kind, job.state.error) for job in ctx.db.scan(ScheduledFunction)]


@query
def job(ctx: QueryCtx, ident: str) -> ScheduledFunction | None:
    return ctx.db.get(Id(ident))


@mutation
def schedule(
    ctx: MutationCtx,
    token: str,
    seconds: float = 0.0,
    what: str = "work",
    lasts: float = 0.0,
    fails: int = 0,
) -> JobId:
    if what == "work":
        return ctx.scheduler.run_after(seconds, work, token=token, fails=bool(fails))
    function = {"call_out": call_out, "steady": steady, "mistaken": mistaken}[what]
    return ctx.scheduler.run_after(seconds, function, token=token, seconds=lasts, fails=fails)


@mutation
def schedule_many(ctx: MutationCtx, seconds: list[float], what: str = "work") -> list[JobId]:
    function: Any = FUNCTIONS[f"j:{what}"]
    return [
        ctx.scheduler.run_after(each, function, token=f"{number}")
        for number, each in enumerate(seconds)
    ]


@mutation
def cancel(ctx: MutationCtx, ident: str) -> None:
    ctx.scheduler.cancel(Id(ident))


@internal_mutation
def cancel_me(ctx: MutationCtx, token: str) -> None:
    ctx.db.insert(Effect(token=token, at=ctx.clock.now(), identity=None))
    for each in ctx.db.scan(ScheduledFunction):
        ctx.scheduler.cancel(each.id)


@mutation
def schedule_cancel_me(ctx: MutationCtx) -> JobId:
    return ctx.scheduler.run_after(0, cancel_me, token="x")


@mutation
def schedule_cancel_after(ctx: MutationCtx) -> JobId:
    return ctx.scheduler.run_after(0, cancel_after, token="x")


FUNCTIONS: dict[str, Function[..., Any]] = {
    f"j:{name}": each
    for name, each in {
        "work": work,
        "call_out": call_out,
        "steady": steady,
        "mistaken": mistaken,
        "cancel_after": cancel_after,
        "effects": effects,
        "all_effects": all_effects,
        "states": states,
        "job": job,
        "schedule": schedule,
        "schedule_many": schedule_many,
        "cancel": cancel,
        "cancel_me": cancel_me,
        "schedule_cancel_me": schedule_cancel_me,
        "schedule_cancel_after": schedule_cancel_after,
    }.items()
}
JOBS_APP: App = make_app("jobs", [Effect], FUNCTIONS)


@define
class Jobs:
    """The stage, as its jobs are asked about."""

    on: Stage

    async def do(self, path: str, **args: Any) -> Any:
        """Run a mutation, and give its result."""
        call = Call(f"j:{path}", args, Caller(admin=True))
        outcome = await self.on.backend.mutate(call)
        assert isinstance(outcome.result, Done), outcome.result
        return decode(outcome.result.result)

    async def ask(self, path: str, **args: Any) -> Any:
        """Run a query, and give its result."""
        done = await self.on.backend.query(Call(f"j:{path}", args))
        assert isinstance(done.result, Done), done.result
        return decode(done.result.result)

    async def kinds(self) -> list[str]:
        """Give where each job stands, in the order in which they were made."""
        return [kind for kind, _ in await self.ask("states")]

    async def tokens(self) -> list[str]:
        """Give what ran, in order."""
        return [token for token, _ in await self.ask("all_effects")]
