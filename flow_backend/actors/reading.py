"""Reading beside the loop: workers with snapshots of their own."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import trio
from attrs import define, field

from flow_backend.actors.durations import Durations
from flow_backend.actors.mailbox import Put
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_query import QueryDone, StorageFailed
from flow_backend.errors import Overloaded, SnapshotTooOld, StorageError
from flow_backend.functions.runner import QueryRun, Runner
from flow_backend.functions.versions import AppVersion, Versions
from flow_backend.runtime import Runtime, Worker
from flow_backend.storage.base import Snapshot, Storage
from flow_backend.values.timestamp import CommitTs

EXPRESS_SECONDS = 0.1
"""One worker is for functions below this, so that a few very slow ones do not stop all others."""


@define(eq=False)
class ReadWorker:
    """A thread and a connection for reading."""

    worker: Worker
    snapshot: Snapshot
    express: bool = False
    busy: bool = False

    def takes(self, seconds: float | None) -> bool:
        """Say whether it is free for a function of this expected duration."""
        return not self.busy and (not self.express or seconds is None or seconds < EXPRESS_SECONDS)

    def run(
        self, call: Call, journal: str | None, runner: Runner, now_ms: float | None = None
    ) -> QueryRun:
        """In the worker's thread: run a query on the snapshot that is open."""
        snapshot, interrupt = self.snapshot, self.snapshot.interrupt
        return runner.query(call.path, call.args, call.caller, snapshot, journal, interrupt, now_ms)


@define(kw_only=True)
class ReadPool:
    """The readers of a database.

    Owns: the workers and their snapshots. Only the event loop takes and gives back.
    Out:  StorageFailed to the QueryActor, which ends the process with it.
    """

    workers: list[ReadWorker]
    versions: Versions
    durations: Durations
    runtime: Runtime
    pinned_seconds: float = 5.0
    pinned_max: int = 16
    waiting_max: int = 1000
    open_snapshot: Callable[[], Snapshot]
    failed: Put[StorageFailed] | None = None
    look_seconds: float = 1.0
    _waiting: int = 0
    _freed: trio.Event = field(factory=trio.Event)
    _tell_freed: Callable[[], None] | None = None
    _pinned: dict[CommitTs, "Pinned"] = field(factory=dict[CommitTs, "Pinned"])
    _spare: list[Snapshot] = field(factory=list[Snapshot])

    def take(self, seconds: float | None) -> ReadWorker | None:
        """Give a free worker for a function of this expected duration, or None."""
        for worker in self.workers:
            if worker.takes(seconds):
                worker.busy = True
                return worker
        return None

    def give_back(self, worker: ReadWorker) -> None:
        """Take a worker back; its snapshot is closed."""
        worker.snapshot.end()
        worker.busy = False
        self._freed.set()
        self._freed = trio.Event()
        tell, self._tell_freed = self._tell_freed, None
        if tell is not None:
            tell()

    def when_freed(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` once, when a worker is given back; the last one to ask is told."""
        self._tell_freed = tell

    async def query(self, call: Call) -> QueryDone:
        """Run a query once, at the newest state.

        Raises: Overloaded if too many wait already.
        """
        worker = await self._wait_free(self.durations.of(call.path))
        try:
            await self.versions.wait_settled()
            with self._telling():
                ts = worker.snapshot.begin()
                with self.versions.using(self.versions.at(ts)) as version:
                    run = await worker.worker.run(lambda: worker.run(call, None, version.runner))
        finally:
            self.give_back(worker)
        self.durations.learn(call.path, run.seconds)
        return QueryDone(run.result, ts)

    @contextmanager
    def _telling(self) -> Generator[None]:
        """Tell of an error that ends the process: who asked for one query cannot end it."""
        try:
            yield
        except StorageError as error:
            if self.failed is not None:
                self.failed.put(StorageFailed(error))
            raise

    async def _wait_free(self, seconds: float | None) -> ReadWorker:
        if self._waiting >= self.waiting_max:
            raise Overloaded("too many queries wait for a reader; try again")
        self._waiting += 1
        try:
            while (worker := self.take(seconds)) is None:
                await self._freed.wait()
        finally:
            self._waiting -= 1
        return worker

    # --- Snapshots that stay ---------------------------------------------------------------------

    def pin(self) -> CommitTs:
        """Keep the newest state readable for some seconds, and give its timestamp."""
        self.let_go(self.runtime.monotonic())
        snapshot = self._spare.pop() if self._spare else self.open_snapshot()
        ts = snapshot.begin()
        until = self.runtime.monotonic() + self.pinned_seconds
        if ts in self._pinned:
            snapshot.end()
            self._spare.append(snapshot)
            self._pinned[ts].until = until
            return ts
        if len(self._pinned) >= self.pinned_max:
            oldest = min(self._pinned.values(), key=lambda each: each.until)
            oldest.until = 0.0
            self.let_go(self.runtime.monotonic())
        # While a version comes into force this may be the one before: then another is there later.
        held = self.versions.at(ts)
        self.versions.hold(held)
        self._pinned[ts] = Pinned(ts, snapshot, held, until)
        return ts

    async def query_at(self, call: Call, ts: CommitTs) -> QueryDone:
        """Run a query at a timestamp that was pinned.

        Raises: SnapshotTooOld.
        """
        self.let_go(self.runtime.monotonic())
        pinned = self._pinned.get(ts)
        if pinned is None:
            raise SnapshotTooOld(
                f"the state at this timestamp is no longer here: it is kept for "
                f"{self.pinned_seconds:g} s after query_ts named it"
            )
        pinned.users += 1
        try:
            async with pinned.turn:
                worker = await self._wait_free(self.durations.of(call.path))
                reader = pinned.snapshot
                try:
                    await self.versions.wait_settled()
                    runner = self.versions.at(ts).runner
                    with self._telling():
                        run = await worker.worker.run(
                            lambda: runner.query(
                                call.path, call.args, call.caller, reader, None, reader.interrupt
                            )
                        )
                finally:
                    self.give_back(worker)
        finally:
            pinned.users -= 1
        return QueryDone(run.result, ts)

    def let_go(self, now: float) -> None:
        """Close the snapshots whose time is over and that nobody reads."""
        for pinned in list(self._pinned.values()):
            if pinned.until <= now and not pinned.users:
                del self._pinned[pinned.ts]
                pinned.snapshot.end()
                self.versions.release(pinned.version)
                self._spare.append(pinned.snapshot)

    async def run(self) -> None:
        """Close old snapshots for ever: an open one keeps the write-ahead log from shrinking."""
        while True:
            await trio.sleep(self.look_seconds)
            self.let_go(self.runtime.monotonic())

    def close(self) -> None:
        """Close all connections. Nothing may be running."""
        for worker in self.workers:
            worker.worker.close()
            worker.snapshot.close()
        for pinned in self._pinned.values():
            pinned.snapshot.close()
        for snapshot in self._spare:
            snapshot.close()


@define(eq=False)
class Pinned:
    """A snapshot that is kept for a while. One query at a time reads it."""

    ts: CommitTs
    snapshot: Snapshot
    version: AppVersion
    until: float
    users: int = 0
    turn: trio.Lock = field(factory=trio.Lock)


def open_pool(
    storage: Storage, versions: Versions, runtime: Runtime, durations: Durations, workers: int = 3
) -> ReadPool:
    """Open the readers: ``workers`` for all, and one for what is not too slow."""
    made = [
        ReadWorker(runtime.worker(f"reader-{number}"), storage.open_snapshot())
        for number in range(workers)
    ]
    made.insert(0, ReadWorker(runtime.worker("reader-express"), storage.open_snapshot(), True))
    return ReadPool(
        workers=made,
        versions=versions,
        durations=durations,
        runtime=runtime,
        open_snapshot=storage.open_snapshot,
    )
