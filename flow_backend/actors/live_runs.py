"""Live queries that are too slow for the loop: they run in the readers' threads."""

from collections.abc import Iterable
from math import inf

from attrs import define, field

from flow_backend.actors.durations import FAST_SECONDS
from flow_backend.actors.live import LiveQuery
from flow_backend.actors.mailbox import Put
from flow_backend.actors.messages.calls import LiveQueryId
from flow_backend.actors.messages.to_query import Moment, ReaderFreed, RunEnded, StorageFailed
from flow_backend.actors.reading import ReadPool, ReadWorker
from flow_backend.errors import StorageError
from flow_backend.functions.context import Log
from flow_backend.functions.limits import Limits
from flow_backend.functions.runner import QueryRun
from flow_backend.runtime import Finished
from flow_backend.values.timestamp import CommitTs


@define(eq=False)
class LiveRuns:
    """The runs of live queries beside the loop; each tells its end by a message.

    Owns: the live queries that run, of one QueryActor: what an actor before it has started ends
    unheard.
    """

    tell: Put[RunEnded | ReaderFreed | StorageFailed]
    pool: ReadPool
    running: dict[LiveQueryId, LiveQuery] = field(factory=dict[LiveQueryId, LiveQuery])

    def part(
        self, due: Iterable[LiveQuery], ts: CommitTs
    ) -> tuple[list[LiveQuery], list[tuple[LiveQuery, ReadWorker]]]:
        """Part what is due: what runs on the loop, and what in a thread, as far as one is free."""
        fast: list[LiveQuery] = []
        slow: list[tuple[LiveQuery, ReadWorker]] = []
        unknown: set[str] = set()
        durations = self.pool.durations
        for live in due:
            path = live.call.path
            if durations.is_fast(path):
                fast.append(live)
                continue
            seconds = durations.of(path)
            if seconds is None:
                # The first run of a function says how long it takes: the others wait for that.
                if path in unknown or self._is_running(path):
                    continue
                unknown.add(path)
            worker = self.pool.take(seconds)
            if worker is None:
                # Live runs tell their end by themselves; what reads once would not wake us.
                self.pool.when_freed(self._freed)
                continue
            try:
                begun = worker.snapshot.begin()
            except BaseException:
                for taken in (worker, *(each for _, each in slow)):
                    self.pool.give_back(taken)
                raise
            if begun != ts:
                # A commit has come in between: the next round has a newer timestamp for all.
                self.pool.give_back(worker)
                continue
            slow.append((live, worker))
        return fast, slow

    def start(self, live: LiveQuery, worker: ReadWorker, at: Moment) -> None:
        """Run a query in a thread; its end comes as a message."""
        live.running = True
        self.running[live.id] = live
        # Set before the run: a commit that meets the old read set meets a run of before.
        live.met = False
        versions = self.pool.versions
        version = versions.at(at.ts)
        versions.hold(version)

        def done(finished: Finished[QueryRun]) -> None:
            self.pool.give_back(worker)
            versions.release(version)
            run = finished.value
            if isinstance(finished.error, StorageError):
                self.tell.put(StorageFailed(finished.error))
                return
            if run is None:
                # A read failed under it. The query says so, and is run again with its next commit.
                assert finished.error is not None
                refused = version.runner.refusal(finished.error, live.call.path, Log(Limits()))
                wakes_at = _ahead(live.wakes_at, at.now_ms)
                run = QueryRun(refused, live.read_set, live.journal, False, FAST_SECONDS, wakes_at)
            self.tell.put(RunEnded(live.id, at, run))

        worker.worker.submit(
            lambda: worker.run(live.call, live.journal, version.runner, at.now_ms), done
        )

    def ended(self, ident: LiveQueryId) -> LiveQuery | None:
        """Strike a run off. Returns: its query, or None if another actor had started it."""
        return self.running.pop(ident, None)

    def _freed(self) -> None:
        self.tell.put(ReaderFreed())

    def _is_running(self, path: str) -> bool:
        return any(live.running and live.call.path == path for live in self.running.values())


def _ahead(wakes_at: float | None, now_ms: float) -> float | None:
    """Give what a query waits for that could not be run: not what has brought about this run."""
    return inf if wakes_at is not None and wakes_at <= now_ms else wakes_at
