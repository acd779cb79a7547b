"""Seeded simulation: one seed decides the schedule, the clock, the threads and all chance."""

from collections import deque
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from random import Random
from typing import Any, Final, TypeVar

import trio
import trio._core._run as scheduler
from attrs import define, field
from trio.testing import MockClock

from flow_backend.actors.backend import Backend
from flow_backend.functions.limits import Limits
from flow_backend.runtime import Finished, Watch, Worker, wait_for
from flow_backend.testing.steps import Steps

T = TypeVar("T")

START_NS: Final = 1_800_000_000_000_000_000
_DURATIONS: Final = "durations"
_FLAG: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
_VIRTUAL_SECONDS_MAX: Final = 86_400.0


def simulate(seed: int, main: Callable[["SimRuntime"], Awaitable[T]]) -> T:
    """Run ``main`` in virtual time, with everything that is left to chance decided by ``seed``.

    Two runs of one seed are equal, also in other processes. Nothing in it may start a thread.

    Raises: what ``main`` raises; trio.TooSlowError after a virtual day, which a deadlock becomes.
    Source: the simulation, "What makes trio deterministic".
    """
    # Both names are private to trio, whose version is pinned for them; nothing else touches them.
    names = vars(scheduler)
    chance: Random = names["_r"]
    before, state = names[_FLAG], chance.getstate()
    setattr(scheduler, _FLAG, True)
    chance.seed(seed)

    runtime = SimRuntime(Random(seed))

    async def run() -> T:
        with trio.fail_after(_VIRTUAL_SECONDS_MAX):
            return await main(runtime)

    try:
        clock = MockClock(autojump_threshold=0)
        return trio.run(run, clock=clock, instruments=[runtime.steps])
    finally:
        setattr(scheduler, _FLAG, before)
        chance.setstate(state)


@define(eq=False)
class SimRuntime:
    """Implements :class:`flow_backend.runtime.Runtime` with nothing of the real machine.

    Attributes:
        random: the one source of chance.
        offset_ns: what the wall clock is off by; setting it makes the clock jump.
        work_seconds_max: a worker takes up to this long before and after each piece of work.
        reached: what has come about in this run, and how often: a run that never got somewhere
            has not tested it.
        steps: counts what tasks do, and fails them where it is told to.
    """

    random: Random
    offset_ns: int = 0
    work_seconds_max: float = 0.004
    reached: dict[str, int] = field(factory=dict[str, int])
    steps: Steps = field(factory=Steps)
    _trace: Any = field(factory=lambda: blake2b(digest_size=16))

    def now_ns(self) -> int:
        """Wall clock: a fixed start, the virtual time since, and the jumps."""
        return START_NS + int(trio.current_time() * 1e9) + self.offset_ns

    def monotonic(self) -> float:
        """Give the virtual time, in seconds."""
        return trio.current_time()

    def stopwatch(self) -> Watch:
        """Give a watch that stands still: no decision may follow the real time."""
        return StoppedWatch()

    def worker(self, name: str) -> Worker:
        """Start a worker that is no thread: its work is done on the loop, at chosen moments."""
        worker = SimWorker(self)
        trio.lowlevel.spawn_system_task(worker.work, name=name)
        return worker

    async def pause(self, seconds_max: float) -> None:
        """Let others run: for some scheduling steps, or for up to so many virtual seconds."""
        chance = self.random.random()
        if chance < 0.3:
            await trio.lowlevel.checkpoint()
        else:
            await trio.sleep(chance * seconds_max)

    def note(self, *what: object) -> None:
        """Add to the trace, by which two runs are compared."""
        self._trace.update(repr((trio.current_time(), *what)).encode())

    def reach(self, what: str) -> None:
        """Count that something has come about."""
        self.reached[what] = self.reached.get(what, 0) + 1

    @property
    def trace(self) -> str:
        """A digest of all that was noted."""
        return str(self._trace.hexdigest())


@define(eq=False)
class SimWorker:
    """Implements :class:`flow_backend.runtime.Worker` on the loop.

    A piece of work happens at one moment; its end is told at a later one, as a thread's is.
    """

    runtime: SimRuntime
    _queue: deque[Callable[[], Callable[[], None]]] = field(
        factory=deque[Callable[[], Callable[[], None]]]
    )
    _arrived: trio.Event = field(factory=trio.Event)
    _closed: bool = False

    async def work(self) -> None:
        """Do what is submitted, in order, until closed."""
        while True:
            while not self._queue:
                if self._closed:
                    return
                self._arrived = trio.Event()
                await self._arrived.wait()
            step = self._queue.popleft()
            await self.runtime.pause(self.runtime.work_seconds_max)
            tell = step()
            await self.runtime.pause(self.runtime.work_seconds_max)
            tell()

    def submit(self, work: Callable[[], T], done: Callable[[Finished[T]], None]) -> None:
        """Run ``work`` after all that was submitted before; then ``done``."""
        assert not self._closed, "work for a worker that was closed"

        def step() -> Callable[[], None]:
            try:
                finished = Finished(value=work())
            except BaseException as error:  # Handed on, whatever it is.
                finished = Finished[T](error=error)
            return lambda: done(finished)

        self._queue.append(step)
        self._arrived.set()

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` and wait for its end, also when cancelled."""
        return await wait_for(self, work)

    def close(self) -> None:
        """Accept nothing more; what was submitted is still done."""
        self._closed = True
        self._arrived.set()


class StoppedWatch:
    """Implements :class:`flow_backend.runtime.Watch`: functions take no time here."""

    def seconds(self) -> float:
        """Give nothing."""
        return 0.0


@define
class Unwatched:
    """Implements :class:`flow_backend.functions.limits.Watched`, and watches nothing."""

    over: bool = False

    def enter(self) -> None:
        """Begin."""

    def leave(self) -> None:
        """End."""


class NoDeadlines:
    """Implements :class:`flow_backend.functions.limits.Deadlines`: functions take no time here."""

    def watch(self, limits: Limits, interrupt: Callable[[], None]) -> Unwatched:
        """Give what watches nothing."""
        del limits, interrupt
        return Unwatched()


@define
class SimDurations:
    """Stands for the actors' durations: what a function really took differs from run to run.

    Each run makes its function fast or slow for the next one, by chance.
    """

    random: Random
    slow_share: float = 0.4
    _slow: dict[str, bool] = field(factory=dict[str, bool])

    def learn(self, path: str, seconds: float) -> None:
        """Make the function fast or slow for its next run."""
        del seconds
        self._slow[path] = self.random.random() < self.slow_share

    def of(self, path: str) -> float | None:
        """Give the expected duration, None if the function never ran."""
        is_slow = self._slow.get(path)
        return None if is_slow is None else float(is_slow)

    def is_fast(self, path: str) -> bool:
        """Say whether the function may run on the loop."""
        return self._slow.get(path) is False


def take_durations(backend: Backend, durations: object) -> None:
    """Let a backend go by these durations, and by no clock of the real machine."""
    for actor in (backend.pool, backend.query_actor, backend.mutation):
        if hasattr(actor, "durations"):
            setattr(actor, _DURATIONS, durations)
