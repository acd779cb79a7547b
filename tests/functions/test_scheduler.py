"""``ctx.scheduler`` in a mutation: jobs are made and canceled with all that it writes."""

from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest

from flow_backend.errors import AppError
from flow_backend.functions.context import ActionCtx, Caller, MutationCtx, QueryCtx
from flow_backend.functions.function import (
    Function,
    action,
    internal_mutation,
    mutation,
    query,
)
from flow_backend.functions.jobs import JOBS, end_job, find_job
from flow_backend.functions.limits import Limits
from flow_backend.schema.document import Id, Instant
from flow_backend.schema.system import JobState, ScheduledFunction
from flow_backend.storage.base import Done, Job, Transaction
from tests.functions.backend import START_NS, Backend, Board, Open, said

NOW = START_NS / 1e6
YEAR_MS = 365.25 * 86_400_000
PENDING = JobState("pending")


@internal_mutation
def ring(ctx: MutationCtx, name: str, times: int = 1) -> None:
    for _ in range(times):
        ctx.db.insert(Board(name=name))


@action
async def call_out(ctx: ActionCtx, url: str) -> None: ...


@query
def look(ctx: QueryCtx) -> None: ...


@mutation
def later(ctx: MutationCtx, seconds: float, name: str) -> Id[ScheduledFunction]:
    return ctx.scheduler.run_after(seconds, ring, name=name)


@mutation
def at(ctx: MutationCtx, instant: float) -> Id[ScheduledFunction]:
    return ctx.scheduler.run_at(Instant(instant), call_out, url="x")


@mutation
def later_and_no(ctx: MutationCtx) -> None:
    ctx.scheduler.run_after(0, ring, name="never")
    raise AppError("no")


@mutation
def later_within(ctx: MutationCtx) -> None:
    with pytest.raises(AppError):
        ctx.run(later_and_no)
    ctx.scheduler.run_after(0, ring, name="kept")


@mutation
def many(ctx: MutationCtx, count: int, size: int) -> None:
    for _ in range(count):
        ctx.scheduler.run_after(0, ring, name="x" * size)


@mutation
def wrongly(ctx: MutationCtx, what: str) -> None:
    scheduler: Any = ctx.scheduler
    stray = mutation(lambda ctx: None)
    attempts: dict[str, Callable[[], object]] = {
        "query": lambda: scheduler.run_after(0, look),
        "stray": lambda: scheduler.run_after(0, stray),
        "missing": lambda: scheduler.run_after(0, ring),
        "type": lambda: scheduler.run_after(0, ring, name=3),
        "extra": lambda: scheduler.run_after(0, ring, name="a", colour="red"),
        "place": lambda: scheduler.run_after(0, ring, "a"),
        "insert": lambda: ctx.db.insert(
            ScheduledFunction(
                name="x",
                runs="mutation",
                args=[{}],
                scheduledTime=Instant(0),
                state=PENDING,
                due=Instant(0),
            )
        ),
        "patch": lambda: ctx.db.patch(scheduler.run_after(0, ring, name="a"), attempts=3),
        "delete": lambda: ctx.db.delete(scheduler.run_after(0, ring, name="a")),
    }
    attempts[what]()


@mutation
def cancel(ctx: MutationCtx, job: str) -> None:
    ctx.scheduler.cancel(Id(job))


@query
def jobs(ctx: QueryCtx, kind: str = "") -> list[ScheduledFunction]:
    if not kind:
        return ctx.db.scan(ScheduledFunction).collect()
    state: Any = JobState(kind)  # type: ignore[arg-type]
    return ctx.db.scan(ScheduledFunction.by_state[state]).collect()


@query
def names(ctx: QueryCtx) -> list[tuple[str, str, float, float | None]]:
    return [
        (job.name, job.state.kind, job.scheduled_at, job.completed_at)
        for job in ctx.db.scan(ScheduledFunction)
    ]


FUNCTIONS: dict[str, Function[..., Any]] = {
    f"jobs:{each.name}": each
    for each in (
        *(ring, call_out, look, later, at, later_and_no, later_within, many, wrongly, cancel),
        *(jobs, names),
    )
}


@pytest.fixture
def backend(start: Open) -> Backend:
    return start(FUNCTIONS)


def change(backend: Backend, work: Callable[[Transaction], None]) -> None:
    """Do as the server does."""

    def run(transaction: Transaction) -> Done:
        work(transaction)
        return Done(b"null")

    backend.storage.writer.commit([Job(run)])


def test_a_job_is_a_row_with_convex_names(backend: Backend) -> None:
    ident = backend.mutate("jobs:later", seconds=1.5, name="door")

    [row] = backend.query("jobs:jobs")
    assert row.pop("_creationTime") >= NOW
    assert row == {
        "_id": ident,
        "name": "jobs:ring",
        "runs": "mutation",
        "args": [{"name": "door"}],
        "scheduledTime": NOW + 1500,
        "due": NOW + 1500,
        "state": {"kind": "pending", "error": None},
        "completedTime": None,
        "attempts": 0,
        "errors": [],
        "cron": None,
    }
    assert backend.query("jobs:jobs", kind="pending")[0]["_id"] == ident
    assert backend.query("jobs:jobs", kind="success") == []
    assert backend.query("jobs:names") == [["jobs:ring", "pending", NOW + 1500, None]]


def test_f3_a_mutation_that_fails_schedules_nothing(backend: Backend) -> None:
    backend.attempt("jobs:later_and_no")

    assert backend.query("jobs:jobs") == []


def test_f3_a_savepoint_that_is_rolled_back_takes_its_jobs_along(backend: Backend) -> None:
    backend.mutate("jobs:later_within")

    [job] = backend.query("jobs:jobs")
    assert job["args"] == [{"name": "kept"}]


def test_the_past_is_now(backend: Backend) -> None:
    backend.mutate("jobs:at", instant=NOW - 4.9 * YEAR_MS)

    [job] = backend.query("jobs:jobs")
    assert job["scheduledTime"] == job["due"] == NOW


@pytest.mark.parametrize("instant", [NOW - 5.1 * YEAR_MS, NOW + 5.1 * YEAR_MS, nan, inf, -inf])
def test_an_instant_is_within_five_years(backend: Backend, instant: float) -> None:
    refused = backend.refused("jobs:at", instant=instant)

    assert "up to 5 years from now" in said(refused)
    assert backend.query("jobs:jobs") == []


@pytest.mark.parametrize("seconds", [-0.001, nan, inf])
def test_a_delay_is_seconds_to_come(backend: Backend, seconds: float) -> None:
    refused = backend.refused("jobs:later", seconds=seconds, name="x")

    assert "zero or more" in said(refused)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("query", "A mutation or an action of the app can be scheduled"),
        ("stray", "stands in no module of this app"),
        ("missing", "the field 'name', which is required"),
        ("type", "Path: .name"),
        ("extra", "has no argument 'colour'"),
        ("place", "go by name"),
        ("insert", "only the server writes it"),
        ("patch", "only the server writes it"),
        ("delete", "only the server writes it"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_in_words(
    backend: Backend, what: str, text: str
) -> None:
    refused = backend.refused("jobs:wrongly", what=what)

    assert text in said(refused)
    assert backend.query("jobs:jobs") == []


def test_how_much_one_mutation_may_schedule_is_bounded(start: Open) -> None:
    backend = start(FUNCTIONS, limits=Limits(jobs=10, jobs_bytes=2000))

    backend.mutate("jobs:many", count=10, size=100)
    too_many = backend.refused("jobs:many", count=11, size=1)
    too_large = backend.refused("jobs:many", count=2, size=1000)

    assert "Too many functions scheduled by one mutation (limit: 10)" in said(too_many)
    assert "(limit: 2000 bytes)" in said(too_large)
    assert len(backend.query("jobs:jobs")) == 10


def test_f6_a_job_that_waits_is_canceled(backend: Backend) -> None:
    ident = backend.mutate("jobs:later", seconds=60, name="x")

    backend.mutate("jobs:cancel", job=ident)
    backend.mutate("jobs:cancel", job=ident)  # It has ended: nothing happens.

    assert backend.query("jobs:names") == [["jobs:ring", "canceled", NOW + 60_000, NOW]]


def test_cancel_of_what_is_no_job_says_so(backend: Backend) -> None:
    ident = backend.mutate("jobs:later", seconds=60, name="x")
    change(backend, lambda transaction: transaction.delete(JOBS, _row(transaction, ident)))

    for wrong, text in (("x", "no scheduled function's id"), (ident, "there is no scheduled")):
        assert text in said(backend.refused("jobs:cancel", job=wrong))


def _row(transaction: Transaction, ident: str) -> Any:
    found = find_job(transaction, ident)
    assert found is not None
    return found.row


def test_f6_what_a_canceled_action_schedules_is_canceled(backend: Backend) -> None:
    ident = backend.mutate("jobs:at", instant=NOW)
    by_it = Caller(admin=True, job=ident)
    backend.mutate("jobs:later", by_it, seconds=1, name="before")
    backend.mutate("jobs:cancel", by_it, job=backend.mutate("jobs:later", seconds=1, name="a"))

    change(backend, lambda t: end_job(t, _job(t, ident), "canceled"))
    backend.mutate("jobs:later", by_it, seconds=1, name="after")

    states = [state for _, state, _, _ in backend.query("jobs:names")]
    assert states == ["canceled", "pending", "canceled", "canceled"]


def _job(transaction: Transaction, ident: str) -> Any:
    return find_job(transaction, ident)


def test_f6_a_mutation_cannot_cancel_itself(backend: Backend) -> None:
    ident = backend.mutate("jobs:later", seconds=0, name="x")

    refused = backend.refused("jobs:cancel", Caller(admin=True, job=ident), job=ident)

    assert "cancels itself" in said(refused)


def test_the_scheduler_of_actions_is_no_client_s(backend: Backend) -> None:
    """What an action's scheduler calls is a function; from outside it does not exist."""
    refused = backend.refused("_scheduler:add", function="jobs:ring", args={}, seconds=0)

    assert "Could not find public function" in said(refused)


def test_an_action_schedules_through_a_mutation(backend: Backend) -> None:
    by_action = Caller(admin=True)
    ident = backend.mutate(
        "_scheduler:add", by_action, function="jobs:ring", args={"name": "x"}, seconds=2
    )
    unknown = backend.refused("_scheduler:add", by_action, function="jobs:no", args={}, seconds=2)
    backend.mutate("_scheduler:cancel", by_action, job=ident)

    assert backend.query("jobs:names") == [["jobs:ring", "canceled", NOW + 2000, NOW]]
    assert "jobs:no" in said(unknown)
