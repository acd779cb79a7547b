"""The jobs' actor: functions that were scheduled start here, at their time and not before."""

from collections.abc import Container, Mapping, Sequence
from math import inf
from typing import Final, Literal

import structlog
import trio
from attrs import define, field

from flow_backend.actors.mailbox import Mailbox, Put
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_action import ActionDone, RunAction
from flow_backend.actors.messages.to_jobs import JobMessage, JobsEnded, JobsWritten
from flow_backend.actors.messages.to_mutation import (
    FAILED_AT_THIS,
    OUTCOME_UNKNOWN,
    MutationDone,
    NotDone,
    RunMutation,
)
from flow_backend.functions.context import Caller
from flow_backend.functions.function import Action
from flow_backend.functions.job_steps import (
    Became,
    EndAction,
    ForgetOld,
    RunMutationJob,
    SetAside,
    StartAction,
    Step,
    became,
    has_old_jobs,
    running_jobs,
    waiting_jobs,
)
from flow_backend.functions.jobs import Job
from flow_backend.functions.versions import Versions
from flow_backend.runtime import Runtime, Worker, ms_of
from flow_backend.schema.system import JobRuns
from flow_backend.storage.base import Done, Refused, Snapshot

logger = structlog.get_logger()

_FIRST_SECONDS: Final = 0.5
_MOST_SECONDS: Final = 7200.0
_CULPRIT_MAX: Final = 2
_LOOK_SECONDS: Final = 1.0
_LEAST_SECONDS: Final = 0.0005
_PAGE_BYTES: Final = 2**20
_FORGET_EACH: Final = 256
_FORGET_SECONDS: Final = 3600.0
_FIRST_FORGET_SECONDS: Final = 60.0
_FORGET_ON_SECONDS: Final = 0.05
_INTERRUPTED: Final = "interrupted: the server ended while this action was running"
_POISON: Final = (
    "set aside: the server's writer itself failed at this job, each time it was tried. The "
    "server's log names the fault."
)

_FORGET: Final = "forget"
_INTERRUPTED_MAX: Final = 10_000

Ended = MutationDone | NotDone | ActionDone
Stage = Literal["mutation", "starting", "acting", "ending"]
_STARTS: Final[Mapping[JobRuns, Stage]] = {"mutation": "mutation", "action": "starting"}


@define
class Held:
    """A job that could not be run, by no fault of its own: how often, and when to try again.

    ``until`` is monotonic. ``culprit`` counts how often the writer failed at just this job.
    """

    tries: int = 0
    until: float = 0.0
    culprit: int = 0


@define
class Running:
    """A job that was taken, and how far it is. ``result`` is an action's, once that has ended.

    ``is_passing`` says that another attempt of it might end otherwise. ``again_at`` is when to try
    again to note its end, on the monotonic clock.
    """

    id: str
    call: Call
    due: float
    stage: Stage
    result: Done | Refused | None = None
    is_passing: bool = False
    again_at: float = inf


@define(kw_only=True)
class Queue:
    """The jobs of one kind: those that were taken, and when to look for more.

    Attributes:
        most: how many are taken at once.
        due: no job that is not taken is due before this, ms since the epoch.
        look_at: when one that is held may be tried again, monotonic.
    """

    runs: JobRuns
    most: int
    held_max: int = 256
    due: float = 0.0
    look_at: float = inf
    running: dict[str, Running] = field(factory=dict[str, Running])
    held: dict[str, Held] = field(factory=dict[str, Held])

    @property
    def room(self) -> int:
        """How many more may be taken."""
        return self.most - len(self.running)

    def known(self, now: float) -> frozenset[str]:
        """Give the jobs that cannot be taken now, though they wait; ``now`` is monotonic."""
        held = [ident for ident, each in self.held.items() if each.until > now]
        return frozenset((*self.running, *held))

    def may_take(self, ident: str) -> bool:
        """Say whether one more job may be taken.

        On a full disk all would be held, sooner or later: past a bound only those are tried.
        """
        return ident in self.held or len(self.held) < self.held_max

    def forget_gone(self, known: Container[str]) -> None:
        """Forget what was held and is not found to wait any more: it had run, or was canceled.

        ``known`` was not looked for. To be called when all that is due was looked at.
        """
        for ident in [each for each in self.held if each not in self.running]:
            if ident not in known:
                del self.held[ident]


@define(eq=False)
class _Reply:
    """Where the end of one run is told: its result waits beside the inbox, so none is lost."""

    job: str
    ended: dict[str, Ended]
    inbox: Put[JobsEnded]

    def put(self, message: Ended) -> None:
        self.ended[self.job] = message
        self.inbox.put(JobsEnded())


@define(kw_only=True)
class JobActor:
    """Starts jobs when they are due, by the wall clock, and sees to it that each ends once.

    It knows the next due instant of each kind and no more: all else is on disk. A job's state is
    written by the writer only, in the transaction that starts, runs or ends it.

    In:   JobsWritten from the MutationActor; the ends of what it asked for.
    Out:  RunMutation to the MutationActor, RunAction to the ActionActor.
    Owns: the jobs that were taken, and those that are held since they could not be run.
    """

    inbox: Mailbox[JobMessage]
    mutations: Put[RunMutation]
    actions: Put[RunAction]
    snapshot: Snapshot
    worker: Worker
    versions: Versions
    runtime: Runtime
    queues: Mapping[JobRuns, Queue]
    look_seconds: float = _LOOK_SECONDS
    forget_seconds: float = _FORGET_SECONDS
    stopping: bool = False
    runs: int = 0
    failures: int = 0
    late_seconds: float = 0.0
    late_seconds_max: float = 0.0
    at: object = None
    _ended: dict[str, Ended] = field(factory=dict[str, Ended])
    _found_interrupted: bool = False
    _forget_at: float = inf

    @property
    def running(self) -> int:
        """How many jobs are taken."""
        return sum(len(queue.running) for queue in self.queues.values())

    @property
    def overdue_seconds(self) -> float:
        """How long the oldest job that is known to wait has been due."""
        due = min(queue.due for queue in self.queues.values())
        return max(0.0, self._now_ms() - due) / 1000 if due else 0.0

    async def run(self) -> None:
        """Work for ever."""
        if not self._found_interrupted:
            await self._find_interrupted()
            self._forget_at = self.runtime.monotonic() + _FIRST_FORGET_SECONDS
        while True:
            self._take_ended()
            for queue in self.queues.values():
                if self._is_time(queue):
                    await self._look(queue)
            await self._forget_old()
            await self._wait()

    # --- When ------------------------------------------------------------------------------------

    def _now_ms(self) -> float:
        return ms_of(self.runtime.now_ns())

    def _is_time(self, queue: Queue) -> bool:
        if self.stopping or queue.room <= 0:
            return False
        return queue.due <= self._now_ms() or queue.look_at <= self.runtime.monotonic()

    async def _wait(self) -> None:
        """Wait for a message, or until something is due; a clock that is set shows in a second."""
        with trio.move_on_after(self._idle_seconds()):
            for message in await self.inbox.receive_batch(len(self.inbox) or 1):
                if isinstance(message, JobsWritten):
                    for runs, due in message.earliest.items():
                        queue = self.queues[runs]
                        queue.due = min(queue.due, due)

    def _idle_seconds(self) -> float:
        if self._ended:
            return 0.0
        now = self.runtime.monotonic()
        waits = [self._forget_at - now]
        for queue in self.queues.values():
            waits += [running.again_at - now for running in queue.running.values()]
            if self.stopping or queue.room <= 0:
                continue  # The end of one that runs wakes it.
            waits.append(queue.look_at - now)
            if queue.due < inf:
                # The wall clock may be set, and a machine may sleep: so it is looked at again.
                waits.append(min(self.look_seconds, (queue.due - self._now_ms()) / 1000))
        return max(_LEAST_SECONDS, min(waits))

    # --- What is due -----------------------------------------------------------------------------

    async def _look(self, queue: Queue) -> None:
        """Take the jobs that are due, in order, as far as there is room."""
        # One more than can be taken: it says when to look again.
        known, most = queue.known(self.runtime.monotonic()), queue.room + 1
        queue.due, queue.look_at = inf, inf
        try:
            jobs = await self.worker.run(lambda: self._read(queue.runs, known, most))
        except BaseException:
            queue.due = 0.0  # Nothing is known of what is due.
            raise
        now_ms = self._now_ms()
        for job in jobs:
            # What is last in a page that is cut by its bytes is looked at twice, and taken once.
            queue.due = job.due
            if job.due > now_ms or queue.room <= 0:
                break
            if not queue.may_take(job.id):
                queue.due, queue.look_at = inf, self.runtime.monotonic() + _LOOK_SECONDS
                break
            self._begin(queue, job)
        else:
            queue.due = queue.due if jobs and _bytes(jobs) >= _PAGE_BYTES else inf
        if queue.due > now_ms:
            queue.forget_gone(known)
        held = [each.until for ident, each in queue.held.items() if ident not in queue.running]
        queue.look_at = min([queue.look_at, *held])

    def _read(self, runs: JobRuns, known: frozenset[str], most: int) -> list[Job]:
        self.snapshot.begin()
        try:
            return waiting_jobs(self.snapshot, runs, known, most, _PAGE_BYTES)
        finally:
            self.snapshot.end()

    def _begin(self, queue: Queue, job: Job) -> None:
        call = Call(job.path, job.args, Caller(admin=True, job=job.id))
        running = self.at = Running(job.id, call, job.due, _STARTS[queue.runs])
        queue.running[job.id] = running
        held = queue.held.get(job.id)
        if held is not None and held.culprit >= _CULPRIT_MAX:
            self._step(job.id, _own("aside"), SetAside(job.id, _POISON))
        elif queue.runs == "mutation":
            self._step(job.id, call, RunMutationJob(job.id))
        else:
            self._step(job.id, _own("start"), StartAction(job.id))
        self.at = None

    def _step(self, ident: str, call: Call, step: Step) -> None:
        # It never waits: how many there are at once is bounded here.
        reply = _Reply(ident, self._ended, self.inbox)
        self.mutations.put(RunMutation(call, reply, step=step))

    # --- What has ended --------------------------------------------------------------------------

    def _take_ended(self) -> None:
        while self._ended:
            ident, message = next(iter(self._ended.items()))
            for queue in self.queues.values():
                if (running := queue.running.get(ident)) is not None:
                    self.at = running
                    self._go_on(queue, running, message)
            if ident == _FORGET:
                self._forgot(message)
            # Not before: should this fail, it is still to be done.
            del self._ended[ident]
            self.at = None
        now = self.runtime.monotonic()
        for queue in self.queues.values():
            for running in queue.running.values():
                if running.again_at <= now:
                    self._write_end(running)

    def _go_on(self, queue: Queue, running: Running, message: Ended) -> None:
        """Take a job one step on."""
        if isinstance(message, ActionDone):
            running.result, running.is_passing = message.result, message.again
            self._write_end(running)
        elif running.stage == "acting":
            assert isinstance(message, NotDone), message
            running.result, running.is_passing = Refused(message.reason), True
            self._write_end(running)
        elif running.stage == "starting" and _is_unknown(message):
            # If it was written, nobody else will run it: it is not to be left in progress.
            self._step(running.id, _own("start"), StartAction(running.id, asked_before=True))
        elif isinstance(message, NotDone) or isinstance(message.outcome.result, Refused):
            self._postpone(queue, running, message)
        else:
            queue.held.pop(running.id, None)
            self._became(queue, running, became(message.outcome.result))

    def _became(self, queue: Queue, running: Running, what: Became) -> None:
        if what in {"started", "success", "failed"} and running.stage != "ending":
            self.runs += 1
            late = max(0.0, self._now_ms() - running.due) / 1000
            self.late_seconds += late
            self.late_seconds_max = max(self.late_seconds_max, late)
        if what == "started":
            running.stage = "acting"
            self.actions.put(RunAction(running.call, _Reply(running.id, self._ended, self.inbox)))
            return
        del queue.running[running.id]
        if what in {"skipped", "canceled"}:
            # Canceled, or the clock was set back; or its end was written though none was told so,
            # and it waits for its next attempt, which no look has found meanwhile.
            queue.due = 0.0
        if what in {"failed", "again"}:
            self.failures += 1
            logger.warning(
                "a scheduled function failed",
                function=running.call.path,
                job=running.id,
                runs_again=what == "again",
            )

    def _write_end(self, running: Running) -> None:
        """Note in the database how an action ended."""
        assert running.result is not None, running.id
        running.stage, running.again_at = "ending", inf
        function = self.versions.newest.app.functions.get(running.call.path)
        retry = function.retry if isinstance(function, Action) and running.is_passing else None
        seed = self.runtime.random.getrandbits(32)
        self._step(running.id, _own("end"), EndAction(running.id, running.result, retry, seed))

    def _postpone(self, queue: Queue, running: Running, message: MutationDone | NotDone) -> None:
        """Try again later what failed by no fault of the job's: the disk is full, the writer fell.

        Source: the guarantees, F7.
        """
        held = queue.held.setdefault(running.id, Held())
        held.tries += 1
        if isinstance(message, MutationDone):
            result = message.outcome.result
            held.culprit += isinstance(result, Refused) and result.message == FAILED_AT_THIS
        seconds = min(_FIRST_SECONDS * 2.0 ** min(held.tries - 1, 30), _MOST_SECONDS)
        # What failed together does not come back together.
        seconds *= 0.5 + self.runtime.random.random() / 2
        logger.warning(
            "a scheduled function is tried again",
            function=running.call.path,
            job=running.id,
            tries=held.tries,
            seconds=round(seconds, 3),
        )
        held.until = self.runtime.monotonic() + seconds
        if running.stage == "ending":
            running.again_at = held.until  # What it did is done: only its end is to be noted.
            return
        del queue.running[running.id]
        queue.look_at = min(queue.look_at, held.until)

    # --- At the start, and in idle moments -------------------------------------------------------

    async def _find_interrupted(self) -> None:
        """Take the actions that were running when the server ended: they are not run again.

        Source: the guarantees, F2.
        """
        queue = self.queues["action"]
        for job in await self.worker.run(self._read_running):
            call = Call(job.path, job.args, Caller(admin=True, job=job.id))
            running = Running(
                job.id, call, job.due, "ending", Refused(_INTERRUPTED), is_passing=True
            )
            queue.running[job.id] = running
            self._write_end(running)
        self._found_interrupted = True

    def _read_running(self) -> list[Job]:
        self.snapshot.begin()
        try:
            return running_jobs(self.snapshot, _INTERRUPTED_MAX)
        finally:
            self.snapshot.end()

    async def _forget_old(self) -> None:
        """Delete what ended a week ago, a piece at a time, while no mutation is due."""
        now = self.runtime.monotonic()
        if self.stopping or now < self._forget_at:
            return
        mutations = self.queues["mutation"]
        if mutations.running or mutations.due <= self._now_ms():
            self._forget_at = now + _LOOK_SECONDS
            return
        # A look first: the writer is not troubled for nothing.
        if await self.worker.run(self._has_old):
            self._forget_at = inf
            self._step(_FORGET, _own("forget"), ForgetOld(_FORGET_EACH))
        else:
            self._forget_at = now + self.forget_seconds

    def _has_old(self) -> bool:
        self.snapshot.begin()
        try:
            return has_old_jobs(self.snapshot, self._now_ms())
        finally:
            self.snapshot.end()

    def _forgot(self, message: Ended) -> None:
        result = message.outcome.result if isinstance(message, MutationDone) else None
        more = isinstance(result, Done) and result.result == b"true"
        seconds = _FORGET_ON_SECONDS if more else self.forget_seconds
        self._forget_at = self.runtime.monotonic() + seconds


def _own(what: str) -> Call:
    """Name the server's own work, for the durations and the log."""
    return Call(f"_scheduler:{what}", None)


def _is_unknown(message: MutationDone | NotDone) -> bool:
    """Say whether the writer fell, and what it was asked for may have been committed or not."""
    result = message.outcome.result if isinstance(message, MutationDone) else None
    return isinstance(result, Refused) and result.message == OUTCOME_UNKNOWN


def _bytes(jobs: Sequence[Job]) -> int:
    return sum(len(job.row[3]) for job in jobs)
