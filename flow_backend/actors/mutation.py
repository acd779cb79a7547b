"""The writer's actor: every mutation gets its place in the order of commits here."""

from collections import deque
from collections.abc import Mapping

import structlog
from attrs import define, field

from flow_backend.actors.durations import Durations
from flow_backend.actors.mailbox import Mailbox, Put
from flow_backend.actors.messages import (
    Committed,
    MarkPast,
    MutationDone,
    MutationMessage,
    NotDone,
    RunMutation,
    SessionKey,
    TableMessage,
    TableWrites,
)
from flow_backend.errors import NotCommitted
from flow_backend.functions.runner import Runner
from flow_backend.runtime import Runtime, Worker
from flow_backend.storage.base import Committed as Batch
from flow_backend.storage.base import Done, Executed, Job, Refused, TableName, Transaction, Writer
from flow_backend.values.timestamp import CommitTs

logger = structlog.get_logger()

_TRY_AGAIN = "Nothing of it was written; send it again."


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

    In:   RunMutation and MarkPast, from sessions, HTTP requests and actions.
    Out:  MutationDone to whoever asked; then TableWrites to the tables that were written, and
          Committed to the QueryActor.
    Owns: the writer, and with it the commit timestamp; its thread. ``published_ts`` is the newest
        commit that was told: others that are on disk already nobody may be shown yet.
    """

    inbox: Mailbox[MutationMessage]
    tables: Mapping[TableName, Mailbox[TableMessage]]
    queries: Put[Committed]
    writer: Writer
    worker: Worker
    runner: Runner
    runtime: Runtime
    durations: Durations
    size: BatchSize = field(factory=BatchSize)
    maintain_seconds: float = 1.0
    in_flight: list[RunMutation] = field(factory=list[RunMutation])
    _marks: deque[MarkPast] = field(factory=deque[MarkPast])
    _maintained_at: float = 0.0
    _unmaintained: bool = True
    published_ts: CommitTs = field(init=False)
    commits: int = 0
    mutations: int = 0

    def __attrs_post_init__(self) -> None:
        self.published_ts = self.writer.last_ts

    async def run(self) -> None:
        """Work for ever."""
        while True:
            # What waited together commits together: one hop to the writer's thread, one fsync.
            batch = await self.inbox.receive_batch(self.size.next())
            # From here on each of them is answered, whatever fails.
            self.in_flight = [each for each in batch if isinstance(each, RunMutation)]
            self._marks = deque(each for each in batch if isinstance(each, MarkPast))
            assert len(self.in_flight) + len(self._marks) == len(batch), batch
            while self._marks:
                await self._mark_past(self._marks[0])
                self._marks.popleft()
            if self.in_flight:
                await self._commit(self.in_flight)
            await self._maintain()

    async def _commit(self, requests: list[RunMutation]) -> None:
        took: list[tuple[str, float]] = []
        jobs = [self._job(request, took) for request in requests]
        try:
            batch = await self._run(requests, jobs, took)
        except NotCommitted as error:
            logger.exception("a batch was not committed", mutations=len(jobs))
            self._answer_not_done(requests, f"{error} {_TRY_AGAIN}")
            return
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
            started = clock()
            result = runner.mutation(call.path, call.args, call.caller, transaction, interrupt)
            took.append((call.path, clock() - started))
            return result

        return Job(run, request.request)

    def _answer(self, requests: list[RunMutation], batch: Batch) -> None:
        # The answers go out before any table hears, so that no transition can overtake them.
        for request, outcome in zip(requests, batch.outcomes, strict=True):
            request.reply_to.put(MutationDone(request.request_id, outcome))
        self.in_flight = []
        self.commits += 1
        self.mutations += len(requests)

    def _answer_not_done(self, requests: list[RunMutation], reason: str) -> None:
        # What such a client has sent after it must not overtake it: it is sent again, in order.
        sessions = {each.session for each in requests if each.session is not None}
        if sessions:
            self.inbox.withdraw(lambda message: message.session in sessions)
        for request in requests:
            request.reply_to.put(NotDone(request.request_id, reason))
        self.in_flight = []

    async def _publish(self, batch: Batch, requests: list[RunMutation]) -> None:
        for name, writes in batch.writes.items():
            await self.tables[name].send(TableWrites(batch.ts, writes))
        sessions = dict.fromkeys(each.session for each in requests if each.session is not None)
        tables = dict.fromkeys(batch.writes, batch.ts)
        self._tell(Committed(batch.ts, tables, tuple(sessions)))
        self._unmaintained = True

    def _tell(self, message: Committed) -> None:
        # The one door through which commits are published: none before it is durable.
        assert message.ts <= self.writer.last_ts, (message.ts, self.writer.last_ts)
        self.published_ts = message.ts
        self.queries.put(message)

    async def _mark_past(self, message: MarkPast) -> None:
        ts, newest = message.ts, self.writer.last_ts
        if ts > newest:
            try:
                newest = await self.worker.run(lambda: self.writer.mark_past(ts))
            except NotCommitted as error:
                message.reply_to.put(NotDone(None, f"{error} {_TRY_AGAIN}"))
                return
            logger.warning("a client had seen a later state: history was cut", seen=ts, now=newest)
        self._tell(Committed(newest, {}, (message.session,)))

    async def _maintain(self) -> None:
        """Checkpoint in the first idle moment, and not more than once in a while."""
        now = self.runtime.monotonic()
        if len(self.inbox) or not self._unmaintained:
            return
        if now - self._maintained_at < self.maintain_seconds:
            return
        try:
            await self.worker.run(self.writer.maintain)
        except NotCommitted:
            # What is old is pruned some other time; nothing was promised.
            logger.exception("the upkeep was not done")
        self._maintained_at = self.runtime.monotonic()
        self._unmaintained = False

    def abandon(self, reason: str, sessions: tuple[SessionKey, ...]) -> None:
        """After a crash: tell those whose mutation was under way. None is given to the next actor.

        A client that sends it again is answered by the request record, if it was committed. All
        ``sessions`` get a transition, since some may have been answered and wait for it.
        """
        self._answer_not_done(self.in_flight, reason)
        while self._marks:
            self._marks.popleft().reply_to.put(NotDone(None, reason))
        self._tell(Committed(self.writer.last_ts, {}, sessions))
