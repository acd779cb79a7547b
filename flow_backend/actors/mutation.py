"""The writer's actor: every mutation gets its place in the order of commits here."""

from collections import deque
from collections.abc import Callable, Mapping

import structlog
from attrs import define, field

from flow_backend.actors.blame import shown
from flow_backend.actors.durations import Durations
from flow_backend.actors.mailbox import Mailbox, Put
from flow_backend.actors.messages.calls import SessionKey
from flow_backend.actors.messages.to_jobs import JobsWritten
from flow_backend.actors.messages.to_mutation import (
    FAILED_AT_THIS,
    OUTCOME_UNKNOWN,
    BuildDone,
    BuildStep,
    MarkPast,
    MutationDone,
    MutationMessage,
    NotDone,
    RunMutation,
    SwapIn,
    SwappedIn,
    Switch,
    SwitchDone,
)
from flow_backend.actors.messages.to_query import Committed
from flow_backend.actors.messages.to_table import (
    NewLayout,
    TableMessage,
    TableReplaced,
    TableWrites,
)
from flow_backend.errors import ImportRefused, NotCommitted, StorageError, SwitchRefused
from flow_backend.functions.job_steps import earliest_due
from flow_backend.functions.jobs import JOBS
from flow_backend.functions.runner import Runner
from flow_backend.functions.versions import AppVersion, Versions
from flow_backend.runtime import Runtime, Worker
from flow_backend.storage.base import Committed as Batch
from flow_backend.storage.base import (
    Done,
    Executed,
    Job,
    Outcome,
    Refused,
    Switched,
    TableName,
    Transaction,
    Writer,
)
from flow_backend.values.timestamp import CommitTs

logger = structlog.get_logger()

_TRY_AGAIN = "Nothing of it was written; send it again."


def _ignore(_: AppVersion) -> None:
    """Do nothing more at a switch."""


@define
class BatchSize:
    """How many mutations to take at once: as many as take ``batch_seconds``, at most ``most``.

    What waited together commits together, with one fsync; but a batch holds back all that comes
    after it, so slow mutations go in small ones. Only what the functions take counts: with the
    fsync in it, small batches would look slow, and stay small.
    """

    most: int = 64
    batch_seconds: float = 0.005
    _each_seconds: float = 0.0001

    def next(self) -> int:
        """Give the size of the next batch."""
        if self._each_seconds * self.most <= self.batch_seconds:
            return self.most
        return max(1, int(self.batch_seconds / self._each_seconds))

    def took(self, count: int, seconds: float) -> None:
        """Learn from a batch; ``seconds`` is what its functions took together."""
        self._each_seconds += (seconds / count - self._each_seconds) / 8


@define(kw_only=True)
class MutationActor:
    """Gives every mutation its place in the order of commits.

    In:   RunMutation, MarkPast and SwapIn, from sessions, HTTP requests, actions, jobs, imports;
          Switch from a deploy.
    Out:  MutationDone, SwappedIn or NotDone to whoever asked; then TableWrites or TableReplaced to
          the tables that were written, Committed to the QueryActor, JobsWritten to the JobActor.
          NewLayout to every table at a switch.
    Owns: the writer, and with it the commit timestamp; its thread. ``published_ts`` is the newest
        commit that was told: others that are on disk already nobody may be shown yet.
    """

    inbox: Mailbox[MutationMessage]
    tables: Mapping[TableName, Mailbox[TableMessage]]
    queries: Put[Committed]
    jobs: Put[JobsWritten]
    writer: Writer
    worker: Worker
    versions: Versions
    runtime: Runtime
    durations: Durations
    size: BatchSize = field(factory=BatchSize)
    maintain_seconds: float = 1.0
    in_flight: list[RunMutation] = field(factory=list[RunMutation])
    # Called when the writer has begun anew; gives the sessions that are to get a transition.
    on_restart: Callable[[], tuple[SessionKey, ...]] = tuple
    # Called when a version is in force, before any table or query hears of it.
    on_switch: Callable[[AppVersion], None] = field(default=_ignore)
    at: MutationMessage | None = None
    _marks: deque[MarkPast] = field(factory=deque[MarkPast])
    _swaps: deque[SwapIn] = field(factory=deque[SwapIn])
    _switches: deque[Switch] = field(factory=deque[Switch])
    _builds: deque[BuildStep] = field(factory=deque[BuildStep])
    # A switch that is on disk, and not in force yet; then the same when it is.
    _written: Switched | None = None
    _switched: SwitchDone | None = None
    _committed: Batch | None = None
    _failed: bool = False
    _is_alone: bool = False
    _careful: int = 0
    _maintained_at: float = 0.0
    _unmaintained: bool = True
    published_ts: CommitTs = field(init=False)
    commits: int = 0
    mutations: int = 0

    def __attrs_post_init__(self) -> None:
        self.published_ts = self.writer.last_ts

    @property
    def runner(self) -> Runner:
        """What runs mutations now."""
        return self.versions.newest.runner

    async def run(self) -> None:
        """Work for ever."""
        if self._failed:
            await self._start_again()
        while True:
            # What waited together commits together: one hop to the writer's thread, one fsync.
            batch = await self.inbox.receive_batch(self._next_size())
            # From here on each of them is answered, whatever fails.
            self._take(batch)
            while self._switches:
                await self._switch(self._switches[0])
                self._switches.popleft()
            while self._marks:
                await self._mark_past(self._marks[0])
                self._marks.popleft()
            if self.in_flight:
                await self._commit(self.in_flight)
            while self._swaps:
                await self._swap_in(self._swaps[0])
                self._swaps.popleft()
            while self._builds:
                await self._build(self._builds[0])
                self._builds.popleft()
            await self._maintain()

    def _take(self, batch: list[MutationMessage]) -> None:
        self._committed = self.at = self._switched = None
        self._is_alone = len(batch) == 1
        self.in_flight = [each for each in batch if isinstance(each, RunMutation)]
        self._marks = deque(each for each in batch if isinstance(each, MarkPast))
        self._swaps = deque(each for each in batch if isinstance(each, SwapIn))
        self._switches = deque(each for each in batch if isinstance(each, Switch))
        self._builds = deque(each for each in batch if isinstance(each, BuildStep))
        taken = len(self.in_flight) + len(self._marks) + len(self._swaps) + len(self._switches)
        assert taken + len(self._builds) == len(batch), batch

    def _next_size(self) -> int:
        if self._careful:
            self._careful -= 1
            return 1
        return self.size.next()

    async def _commit(self, requests: list[RunMutation]) -> None:
        took: list[tuple[str, float]] = []
        jobs = [self._job(request, took) for request in requests]
        try:
            batch = await self._run(requests, jobs, took)
        except NotCommitted as error:
            # A traceback would quote what is at hand, arguments among it.
            said = f"{error} ({shown(error)})"
            logger.error("a batch was not committed", mutations=len(jobs), error=said)  # noqa: TRY400
            self._answer_not_done(requests, f"{error} {_TRY_AGAIN}")
            return
        self._committed = batch
        for path, seconds in took:  # Those that had run before did not run again.
            self.durations.learn(path, seconds)
        self._answer(requests, batch)
        await self._publish(batch, requests)

    async def _run(
        self, requests: list[RunMutation], jobs: list[Job], took: list[tuple[str, float]]
    ) -> Batch:
        """Run a batch: quick functions here, others in the writer's thread; COMMIT always there.

        A thread beside a busy loop gives the interpreter away at each of its SQL statements, and
        must win it back: that doubles what a quick mutation costs.
        """
        if all(self.durations.is_fast(request.call.path) for request in requests):
            executed = self._execute(jobs, took)
            return await self.worker.run(lambda: self.writer.finish(executed))
        return await self.worker.run(lambda: self.writer.finish(self._execute(jobs, took)))

    def _execute(self, jobs: list[Job], took: list[tuple[str, float]]) -> Executed:
        """Run a batch's functions, and correct how long each took by what others took from them.

        To ask for a thread's processor time is a system call, so it is asked once for a batch.
        """
        clock, watch = self.runtime.monotonic, self.runtime.stopwatch()
        started = clock()
        executed = self.writer.execute(jobs)
        seconds = watch.seconds()
        waited = clock() - started - seconds
        if waited > 0:
            took[:] = [(path, max(0.0, each - waited)) for path, each in took]
        if took:
            self.size.took(len(took), seconds)
        return executed

    def _job(self, request: RunMutation, took: list[tuple[str, float]]) -> Job:
        call, runner, interrupt = request.call, self.runner, self.writer.interrupt
        clock = self.runtime.monotonic

        def run(transaction: Transaction) -> Done | Refused:
            self.at = request
            started = clock()
            step = request.step
            if step is None:
                result = runner.mutation(call.path, call.args, call.caller, transaction, interrupt)
            else:
                result = step(
                    transaction,
                    lambda: runner.mutation(
                        call.path, call.args, call.caller, transaction, interrupt
                    ),
                )
            took.append((call.path, clock() - started))
            self.at = None
            return result

        return Job(run, request.request)

    def _answer(self, requests: list[RunMutation], batch: Batch) -> None:
        # The answers go out before any table hears, so that no transition can overtake them.
        for request, outcome in zip(requests, batch.outcomes, strict=True):
            self.at = request
            request.reply_to.put(MutationDone(request.request_id, outcome))
        self.at = None
        self.in_flight = []
        self.commits += 1
        self.mutations += len(requests)

    def _answer_not_done(self, requests: list[RunMutation], reason: str) -> None:
        self._withdraw_behind(requests)
        for request in requests:
            request.reply_to.put(NotDone(request.request_id, reason))
        self.in_flight = []

    def _withdraw_behind(self, requests: list[RunMutation]) -> None:
        """Let nothing that a client has sent after these overtake them: all is sent again."""
        sessions = {each.session for each in requests if each.session is not None}
        if sessions:
            self.inbox.withdraw(lambda message: message.session in sessions)

    async def _publish(self, batch: Batch, requests: list[RunMutation]) -> None:
        for name, writes in batch.writes.items():
            await self.tables[name].send(TableWrites(batch.ts, writes))
        sessions = dict.fromkeys(each.session for each in requests if each.session is not None)
        tables = dict.fromkeys(batch.writes, batch.ts)
        self._tell(Committed(batch.ts, tables, tuple(sessions)))
        if JOBS in batch.writes and (earliest := earliest_due(batch.writes[JOBS])):
            self.jobs.put(JobsWritten(earliest))
        self._unmaintained = True

    def _tell(self, message: Committed) -> None:
        # The one door through which commits are published: none before it is durable.
        assert message.ts <= self.writer.last_ts, (message.ts, self.writer.last_ts)
        self.published_ts = message.ts
        self.queries.put(message)

    async def _mark_past(self, message: MarkPast) -> None:
        self.at = message
        ts, newest = message.ts, self.writer.last_ts
        if ts > newest:
            try:
                newest = await self.worker.run(lambda: self.writer.mark_past(ts))
            except NotCommitted as error:
                message.reply_to.put(NotDone(None, f"{error} {_TRY_AGAIN}"))
                return
            logger.warning("a client had seen a later state: history was cut", seen=ts, now=newest)
        self._tell(Committed(newest, {}, (message.session,)))
        self.at = None

    async def _swap_in(self, message: SwapIn) -> None:
        self.at = message
        try:
            batch = await self.worker.run(
                lambda: self.writer.swap_in(message.staged, message.record)
            )
        except ImportRefused as error:
            message.reply_to.put(SwappedIn(None, error))
            return
        except NotCommitted as error:
            message.reply_to.put(NotDone(None, f"{error} {_TRY_AGAIN}"))
            return
        message.reply_to.put(SwappedIn(batch.ts))
        replaced = [TableName(name) for name in message.staged.tables]
        for name in replaced:
            await self.tables[name].send(TableReplaced(batch.ts))
        for name, writes in batch.writes.items():
            await self.tables[name].send(TableWrites(batch.ts, writes))
        self.commits += 1
        self._tell(Committed(batch.ts, dict.fromkeys([*replaced, *batch.writes], batch.ts), ()))
        self._unmaintained = True
        self.at = None

    # --- Versions of the app ---------------------------------------------------------------------

    async def _switch(self, message: Switch) -> None:
        """Put a version in force. What the batch holds beside it runs on that version, after it."""
        self.at, self._written, self._switched = message, None, None
        # From COMMIT on others can read the new state, and must wait until its version is here.
        self.versions.begin_change()
        try:
            await self.worker.run(lambda: self._write_switch(message))
        except (NotCommitted, SwitchRefused) as error:
            self.versions.settle()
            if isinstance(error, NotCommitted):
                message.reply_to.put(NotDone(None, f"{error} {_TRY_AGAIN}"))
            else:
                message.reply_to.put(error)
            return
        done = self._bring_in_force(message)
        await self._tell_layout(done.version)
        self._tell(Committed(done.version.from_ts, {}, is_switch=True))
        message.reply_to.put(done)
        self.at = None

    def _bring_in_force(self, message: Switch) -> SwitchDone:
        assert self._written is not None, "its commit is on disk"
        version = message.version(self._written)
        self.versions.install(version)
        self._written, self._switched = None, SwitchDone(version)
        self.on_switch(version)
        return self._switched

    async def _tell_layout(self, version: AppVersion) -> None:
        for table in self.tables.values():
            await table.send(NewLayout(version.from_ts))

    async def _build(self, message: BuildStep) -> None:
        self.at = message
        try:
            progress = await self.worker.run(lambda: message.step(self.writer))
        except NotCommitted as error:
            message.reply_to.put(NotDone(None, f"{error} {_TRY_AGAIN}"))
            return
        except SwitchRefused as error:
            message.reply_to.put(error)
            return
        message.reply_to.put(BuildDone(progress))
        self._unmaintained = True
        self.at = None

    def _write_switch(self, message: Switch) -> None:
        def record(transaction: Transaction) -> None:
            try:
                message.record(transaction)
            except (NotCommitted, StorageError, SwitchRefused):
                raise
            except Exception as error:
                raise NotCommitted(f"A version's rows failed ({shown(error)})") from error

        try:
            self._written = self.writer.switch(message.specs, record)
        except (NotCommitted, StorageError, SwitchRefused):
            raise
        except Exception as error:
            # The disk may have the one version or the other: a start reads which.
            raise StorageError(f"a version was to come into force: {shown(error)}") from error

    async def _maintain(self) -> None:
        """Checkpoint in the first idle moment, and not more than once in a while."""
        now = self.runtime.monotonic()
        if len(self.inbox) or not self._unmaintained:
            return
        if now - self._maintained_at < self.maintain_seconds:
            return
        try:
            await self.worker.run(self.writer.maintain)
        except NotCommitted as error:
            # What is old is pruned some other time; nothing was promised.
            logger.warning("the upkeep was not done", error=str(error))
        self._maintained_at = self.runtime.monotonic()
        self._unmaintained = False

    @property
    def swapping(self) -> bool:
        """Whether an import is being taken over, or is about to be."""
        return bool(self._swaps)

    # --- After a failure -------------------------------------------------------------------------

    @property
    def culprit(self) -> MutationMessage | None:
        """What the actor was at when it failed, if that is known."""
        if self.at is None and self._is_alone and self.in_flight:
            return self.in_flight[0]
        return self.at

    def fail(self) -> None:
        """Note a failure: the next ``run`` begins with finding out what became of the requests."""
        self._failed = True
        # One at a time for a while: should it fail again, the one that it fails at is known.
        self._careful = self.size.most

    async def _start_again(self) -> None:
        """Read anew what is on disk, and tell those whose request was under way what became of it.

        None of them is run again here. A client sends again what was certainly not committed.
        """
        requests = self._unanswered()
        keys = [each.request for each in requests if each.request is not None]
        found = await self.worker.run(lambda: self.writer.start_again(keys))
        if self._written is not None:
            # Nobody may be told that it is not so, or run what it took the place of.
            self._bring_in_force(self._switches[0])
        self.versions.settle()
        self._failed = False
        sessions = self.on_restart()
        if self._switched is not None:
            await self._tell_layout(self._switched.version)
        culprit = self.culprit
        for request in requests:
            outcome = found.get(request.request) if request.request is not None else None
            # Without an id of its own it may be among what was committed and never told.
            certain = request.request is not None or self.writer.last_ts == self.published_ts
            _tell_safely(request, self._fate(request, outcome, request is culprit, certain))
        while self._marks:
            self._marks.popleft().reply_to.put(NotDone(None, f"The writer failed. {_TRY_AGAIN}"))
        while self._builds:
            self._builds.popleft().reply_to.put(NotDone(None, f"The writer failed. {_TRY_AGAIN}"))
        while self._swaps:
            # It may have been committed and not told: whoever asked looks at what is recorded.
            self._swaps.popleft().reply_to.put(NotDone(None, "The writer failed."))
        while self._switches:
            instead = NotDone(None, f"The writer failed. {_TRY_AGAIN}")
            self._switches.popleft().reply_to.put(self._switched or instead)
            self._switched = None
        self.in_flight, self._committed, self.at = [], None, None
        # A switch may have been under way, and been told to nobody.
        self._tell(Committed(self.writer.last_ts, {}, sessions, is_switch=True))

    def _unanswered(self) -> list[RunMutation]:
        """Give those in flight that were not answered before the failure."""
        requests = self.in_flight
        if self._committed is not None and self.at in requests:
            return requests[requests.index(self.at) :]
        return requests

    def _fate(
        self, request: RunMutation, recorded: Outcome | None, is_culprit: bool, is_certain: bool
    ) -> MutationDone | NotDone:
        """Say what became of a request; ``is_certain`` says that without a record it is not there.

        What the actor failed at gets an error that is an answer: sent again, it would fail again.
        """
        if self._committed is not None:
            number = self.in_flight.index(request)
            return MutationDone(request.request_id, self._committed.outcomes[number])
        if recorded is not None:
            return MutationDone(request.request_id, recorded)
        if is_certain and not is_culprit:
            self._withdraw_behind([request])
            return NotDone(request.request_id, f"The writer failed. {_TRY_AGAIN}")
        text = FAILED_AT_THIS if is_certain else OUTCOME_UNKNOWN
        return MutationDone(request.request_id, Outcome(Refused(text), None))


def _tell_safely(request: RunMutation, message: MutationDone | NotDone) -> None:
    try:
        request.reply_to.put(message)
    except Exception as error:
        # Perhaps it was this that the actor failed at; the others must hear nevertheless.
        logger.error("an answer could not be given", error=type(error).__name__)  # noqa: TRY400
