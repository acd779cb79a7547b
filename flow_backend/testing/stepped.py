"""A trio loop that goes on only while a test asks it to: in the test's thread, in its own time."""

import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from math import ceil, inf, isinf
from random import Random
from typing import Any, Final, TypeVar, cast

import trio
import trio._core._run as scheduler
from attrs import define, field
from outcome import Outcome
from trio.testing import MockClock, wait_all_tasks_blocked

from flow_backend.runtime import Finished, Watch, wait_for
from flow_backend.testing.failures import NeverEnds
from flow_backend.testing.sim import StoppedWatch

T = TypeVar("T")

# Private to trio, whose version is pinned for them, as in the simulation.
_CONTEXT: Final[Any] = scheduler.GLOBAL_RUN_CONTEXT
_FLAG: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
_CHANCE: Final = "_r"

_LOOK_SECONDS: Final = 0.0002
_LONGEST_SECONDS: Final = 30 * 86_400.0
"""For how long one call may wait: nothing that ends by itself takes longer."""


@define(eq=False)
class SteppedLoop:
    """Runs trio as a guest of plain code: each call goes on until nothing is left to do.

    Time stands still meanwhile, and moves only by :meth:`advance`, or where what was called waits
    for an instant. Who goes first is drawn from ``random``, so a test is the same every time.
    Nothing of it is left behind between two calls: there may be several, and one inside a trio
    test.

    Attributes:
        random: decides the order in which tasks run.
        is_busy: says whether a thread is at work outside, for which to wait in real time.
    """

    random: Random
    is_busy: Callable[[], bool] = lambda: False
    clock: MockClock = field(factory=MockClock)
    _todo: deque[Callable[[], object]] = field(factory=deque[Callable[[], object]])
    _idle_until: float | None = None
    _ended: Outcome[None] | None = None
    _nursery: trio.Nursery | None = None
    _context: dict[str, Any] = field(factory=dict[str, Any])
    _hooks: Any = None
    _is_inside: bool = False

    def start(self) -> None:
        """Begin: to be ended by :meth:`close`."""
        with self._inside():
            trio.lowlevel.start_guest_run(
                self._main,
                run_sync_soon_threadsafe=self._todo.append,
                done_callback=self._end,
                host_uses_signal_set_wakeup_fd=True,
                clock=self.clock,
            )
            self._step_until_idle()

    def close(self) -> None:
        """End all that runs. It is safe to call it again."""
        if self._ended is None and self._nursery is not None:
            with self._inside():
                self._nursery.cancel_scope.cancel()
                while self._ended is None:
                    self._step_until_idle()
                    if self._ended is None and not self._wait_for_more(inf):
                        raise NeverEnds("The backend under test does not end: a task holds on.")

    def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine to its end, and all that follows from it.

        Time moves on as far as it waits for.

        Raises: what it raises; NeverEnds.
        """
        ended: list[Finished[T]] = []

        async def carry_out() -> None:
            try:
                ended.append(Finished(value=await call()))
            except Exception as error:  # Whoever called is told.
                ended.append(Finished[T](error=error))

        latest = self.clock.current_time() + _LONGEST_SECONDS
        with self._inside():
            self._start(carry_out)
            while True:
                self._settle()
                if ended:
                    return ended[0].unwrap()
                if not self._wait_for_more(latest):
                    raise NeverEnds(
                        "This call does not come to an end: it waits for something that nothing "
                        "in this test will bring about, such as an event that nobody sets."
                    )

    def begin(self, task: Callable[[], Awaitable[None]]) -> None:
        """Start a task that goes on beside; what it raises is raised by the call after."""
        with self._inside():
            self._start(task)
            self._settle()

    def go_on(self) -> None:
        """Let time go by until something happens. Raises: NeverEnds if nothing will."""
        with self._inside():
            self._settle()
            if not self._wait_for_more(inf):
                raise NeverEnds("Nothing will happen any more, however long this waits.")
            self._settle()

    def advance(self, seconds: float) -> None:
        """Let time go by; what falls due in between happens at its instant, in order."""
        stop = self.clock.current_time() + seconds
        with self._inside():
            while True:
                self._settle()
                if not self._wait_for_more(stop):
                    break
            left = stop - self.clock.current_time()
            if left > 0:
                self.clock.jump(left)
            self._settle()

    # --- The loop itself -------------------------------------------------------------------------

    async def _main(self) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            while True:
                await wait_all_tasks_blocked()
                self._idle_until = trio.lowlevel.current_statistics().seconds_to_next_deadline

    def _start(self, task: Callable[[], Awaitable[None]]) -> None:
        assert self._nursery is not None, "it was not started"
        # Inside it can be started as if by a task: it is then the first thing that there is to do.
        self._nursery.start_soon(task)

    def _end(self, outcome: Outcome[None]) -> None:
        self._ended = outcome

    def _step_until_idle(self) -> None:
        self._idle_until = None
        while self._idle_until is None and self._ended is None:
            if self._todo:
                self._todo.popleft()()
            else:  # A thread of trio's own waits for the system to tell it something.
                time.sleep(_LOOK_SECONDS)

    def _settle(self) -> None:
        """Go on until nothing happens without time going by."""
        self._step_until_idle()
        while self._ended is None and self.is_busy():
            time.sleep(_LOOK_SECONDS)
            self._step_until_idle()
        if self._ended is not None:
            self._ended.unwrap()
            raise NeverEnds("The backend under test has ended.")

    def _wait_for_more(self, stop: float) -> bool:
        """Move the clock to what is to come first; say no if that is nothing until ``stop``."""
        seconds = self._idle_until
        assert seconds is not None
        if isinf(seconds) or self.clock.current_time() + seconds > stop:
            return False
        self.clock.jump(max(0.0, seconds))
        return True

    @contextmanager
    def _inside(self) -> Generator[None]:
        """Be the running loop of this thread, whichever that is outside."""
        if self._is_inside:
            raise RuntimeError("A TestApp is called by what it runs itself: use ctx.run there.")
        names = vars(scheduler)
        outside, hooks = dict(_context()), sys.get_asyncgen_hooks()
        chance, flag = names[_CHANCE], names[_FLAG]
        self._is_inside = True
        self._take_place(self._context, self._hooks or hooks, self.random, True)
        try:
            yield
        finally:
            self._context, self._hooks = dict(_context()), sys.get_asyncgen_hooks()
            self._take_place(outside, hooks, chance, flag)
            self._is_inside = False

    def _take_place(self, context: dict[str, Any], hooks: Any, chance: Random, flag: bool) -> None:
        _context().clear()
        _context().update(context)
        sys.set_asyncgen_hooks(*hooks)
        setattr(scheduler, _CHANCE, chance)
        setattr(scheduler, _FLAG, flag)


def _context() -> dict[str, Any]:
    """Give what trio knows of the loop that runs in this thread."""
    return cast("dict[str, Any]", vars(_CONTEXT))


@define(eq=False)
class SteppedRuntime:
    """Implements :class:`flow_backend.runtime.Runtime` on a loop that a test steps.

    Attributes:
        random: the one source of chance.
        start_ns: the wall clock when the loop's clock stands at zero.
    """

    random: Random
    clock: MockClock
    start_ns: int

    def now_ns(self) -> int:
        """Wall clock, in whole µs: what is waited for to the ms is there to the ms."""
        return self.start_ns + ceil(self.clock.current_time() * 1e6 - 0.01) * 1000

    def monotonic(self) -> float:
        """Give the loop's clock, in seconds."""
        return self.clock.current_time()

    def stopwatch(self) -> Watch:
        """Give a watch that stands still: no decision may follow the real time."""
        return StoppedWatch()

    def worker(self, name: str) -> "SteppedWorker":
        """Start a worker that is no thread."""
        del name
        return SteppedWorker()


@define(eq=False)
class SteppedWorker:
    """Implements :class:`flow_backend.runtime.Worker` on the loop, right behind what runs now."""

    _token: trio.lowlevel.TrioToken = field(factory=trio.lowlevel.current_trio_token)

    def submit(self, work: Callable[[], T], done: Callable[[Finished[T]], None]) -> None:
        """Run ``work`` after all that was submitted before; then ``done``."""

        def step() -> None:
            try:
                finished = Finished(value=_unprotected(work))
            except BaseException as error:  # Handed on, whatever it is.
                finished = Finished[T](error=error)
            done(finished)

        self._token.run_sync_soon(step)

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` and wait for its end, also when cancelled."""
        return await wait_for(self, work)

    def close(self) -> None:
        """Have nothing to close."""


@trio.lowlevel.disable_ki_protection
def _unprotected(work: Callable[[], T]) -> T:
    """Run an app's function so that Ctrl-C reaches it, also in an endless loop."""
    return work()
