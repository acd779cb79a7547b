"""Whole servers with jobs, under all faults of the other worlds and those of the clock."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from flow_backend.actors.jobs import JobActor, Running
from flow_backend.actors.scheduler import SchedulerActor
from flow_backend.functions import job_steps, jobs
from flow_backend.functions.clock import Clock
from flow_backend.functions.job_steps import EndAction, StartAction, done
from flow_backend.functions.jobs import Job, find_job
from flow_backend.schema.document import Instant
from flow_backend.storage.base import Done, Refused, Transaction
from tests.effort import SEED, cases
from tests.simulation.faults import JOB_ACTORS
from tests.simulation.jobs import job_faults
from tests.simulation.soak import SeedRun, run_seed
from tests.simulation.test_kill_at_each_step import CALM, run, some

JOBS = cases(6_000, 100_000)
MANY_SEEDS = 300
FOUND = [74, 173]
"""Seeds at which an action stayed in progress for ever: the writer fell behind its start."""
FIRST = 5_000
SEEDS = 100
MUST_REACH = (
    *(f"{actor} failed at a step" for actor in JOB_ACTORS),
    "clock jumped",
    "killed",
    "power cut",
    *(f"job {sort}: success" for sort in ("work", "chain", "act", "steady", "gone", "unfit")),
    *(f"job {sort}: failed" for sort in ("fail", "act", "act_fail", "steady", "gone", "unfit")),
    *(f"job {sort}: canceled" for sort in ("work", "chain", "act", "steady")),
)
Plant = Callable[[pytest.MonkeyPatch], None]


def _run(seed: int) -> SeedRun:
    try:
        return run_seed(seed, job_faults(seed))
    except Exception as error:
        raise AssertionError(f"to see it again: run_seed({seed}, job_faults({seed}))") from error


def _planned(reached: Counter[str]) -> int:
    return sum(number for what, number in reached.items() if what.startswith("job "))


@pytest.mark.slow
def test_f1_f2_f3_f4_f6_f7_each_job_ends_once_whatever_befalls_the_server() -> None:
    """A mutation's effect is there exactly once, an action began at most once, none too early.

    At each commit a job's end and its effect agree; what was canceled while it waited never ran;
    a minute after the last fault and the last due instant no job waits or runs.
    """
    reached, seed = Counter[str](), SEED
    while _planned(reached) < JOBS:
        reached.update(_run(seed).reached)
        seed += 1

    assert reached["jobs failed at a step"], reached
    never = [what for what in MUST_REACH if not reached[what]]
    # A few seeds need not reach everything.
    assert not never or seed - SEED < MANY_SEEDS, never


@pytest.mark.slow
@pytest.mark.parametrize("seed", FOUND)
def test_seeds_of_jobs_that_once_found_a_bug(seed: int) -> None:
    """A fixed bug leaves its seed."""
    _run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("actor", [*JOB_ACTORS, "actions", "action"])
def test_h_an_actor_of_jobs_that_fails_at_any_step_is_mended(actor: str) -> None:
    """H, F: each job ends as it should, wherever one that has a part in it fails."""
    calm = evolve(CALM, jobs=14)
    count = run(calm).steps.counts.get(actor, 0)
    assert count > 5, f"the calm world runs {actor} for {count} steps"

    if actor == "scheduler":
        count = 6  # How often it wakes hangs on who watches the clock, which differs by the fault.
    if actor == "actions":
        count = min(count, 12)  # Likewise: a world that is to fail may run fewer of them.
    killed = 0
    for step in some(range(1, count + 1), cases(60)):
        killed += len(run(evolve(calm, killed_actors=((actor, step),))).steps.killed)

    assert killed, f"{actor} was never killed"


# --- The checkers are checked ---------------------------------------------------------------------


def start_early(patch: pytest.MonkeyPatch) -> None:
    """Both looks at the clock are half a second ahead."""
    now = JobActor._now_ms
    patch.setattr(JobActor, "_now_ms", lambda actor: now(actor) + 500)

    def startable(transaction: Transaction, ident: str) -> Job | None:
        job = find_job(transaction, ident)
        is_due = job is not None and job.due <= transaction.now_ms + 500
        return job if is_due and job is not None and job.kind == "pending" else None

    patch.setattr(job_steps, "_startable", startable)


def leave_the_end_unwritten(patch: pytest.MonkeyPatch) -> None:
    """A mutation's effects are committed, and the job waits on."""
    end = job_steps.end_job

    def unwritten(transaction: Transaction, job: Job, kind: Any, error: str | None = None) -> None:
        if kind != "success" or job.runs == "action":
            end(transaction, job, kind, error)

    patch.setattr(job_steps, "end_job", unwritten)


def start_before_it_is_noted(patch: pytest.MonkeyPatch) -> None:
    """An action is run while the note that it starts is still to be written."""
    patch.setattr(StartAction, "__call__", lambda *_: done("started"))
    end = EndAction.__call__

    def note_both(step: EndAction, transaction: Transaction, run: Any) -> Done | Refused:
        job = find_job(transaction, step.job)
        if job is not None and job.kind == "pending":
            jobs.change_job(transaction, job_steps.started(job), state=jobs.state_of("inProgress"))
        return end(step, transaction, run)

    patch.setattr(EndAction, "__call__", note_both)


def ignore_cancel(patch: pytest.MonkeyPatch) -> None:
    """The job's row says that it was canceled, and it is run all the same."""

    def startable(transaction: Transaction, ident: str) -> Job | None:
        return find_job(transaction, ident)

    patch.setattr(job_steps, "_startable", startable)


def lose_the_wake_up(patch: pytest.MonkeyPatch) -> None:
    """Nobody tells the actor that jobs were written."""
    patch.setattr("flow_backend.actors.mutation.earliest_due", lambda _: {})


def leave_it_in_progress(patch: pytest.MonkeyPatch) -> None:
    """What was found in progress at a start is not ended."""
    patch.setattr(JobActor, "_read_running", lambda _: [])


def run_what_was_interrupted(patch: pytest.MonkeyPatch) -> None:
    """An action that was running when the server died is run once more."""
    write_end = JobActor._write_end

    def again(actor: JobActor, running: Running) -> None:
        result = running.result
        if isinstance(result, Refused) and result.message.startswith("interrupted"):
            running.stage = "starting"
            actor._step(running.id, running.call, StartAction(running.id, asked_before=True))
            return
        write_end(actor, running)

    patch.setattr(JobActor, "_write_end", again)


def sleep_past_the_instant(patch: pytest.MonkeyPatch) -> None:
    """The queries never hear that an instant has come."""

    def deaf(actor: SchedulerActor) -> None:
        actor._queries_wait = None

    patch.setattr(SchedulerActor, "_look", deaf)


def pass_early(patch: pytest.MonkeyPatch) -> None:
    """A query is told that an instant has passed a second before it has."""
    passed = Clock.passed
    patch.setattr(Clock, "passed", lambda clock, instant: passed(clock, Instant(instant - 1000)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [
        start_early,
        leave_the_end_unwritten,
        start_before_it_is_noted,
        ignore_cancel,
        lose_the_wake_up,
        leave_it_in_progress,
        run_what_was_interrupted,
        sleep_past_the_instant,
        pass_early,
    ],
)
def test_a_planted_bug_of_the_scheduler_is_found(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checker that never fails says nothing."""
    plant(monkeypatch)

    for seed in range(FIRST, FIRST + SEEDS):
        # A plant may make the server work for ever: the world is small, so that it ends soon.
        faults = evolve(job_faults(seed), jobs=12, people=2, steps=6)
        try:
            run_seed(seed, faults)
        except Exception:
            return

    pytest.fail(f"{plant.__name__} was not found in {SEEDS} seeds")
