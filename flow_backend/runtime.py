"""Time, randomness and threads: all that a simulation puts something else in the place of."""

import os
import queue
import threading
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Generic, Protocol, TypeVar

import trio
from attrs import define, field, frozen

T = TypeVar("T")


_WAITED_SECONDS = 0.02
"""A busy machine hardly makes a short run look this long: such a run has waited for something."""


class Watch(Protocol):
    """Measures how long a function runs."""

    def seconds(self) -> float:
        """Give the seconds since it was made, in the same thread."""
        ...


class Stopwatch:
    """How long a function runs: in processor time, so that other programs do not make it look slow.

    A long run counts by the wall, for it may have waited for the disk.
    """

    __slots__ = ("_cpu_started", "_started")

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._cpu_started = time.thread_time()

    def seconds(self) -> float:
        """Give the seconds since it was made, in the same thread."""
        seconds = time.perf_counter() - self._started
        return seconds if seconds > _WAITED_SECONDS else time.thread_time() - self._cpu_started


def ms_of(ns: int) -> float:
    """Give an instant in ms, rounded once.

    As ``ns / 1e6`` it is rounded twice. Of two who compare it with what is due, one would say that
    it is here and the other that it is not.
    """
    return ns / 1_000_000


@frozen
class Finished(Generic[T]):
    """A piece of work ended with ``value``, or with ``error`` if that is not None."""

    value: T | None = None
    error: BaseException | None = None

    def unwrap(self) -> T:
        """Give the value or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # No error: then it is a T, maybe None.


class Worker(Protocol):
    """Runs blocking work, one piece after another, off the event loop."""

    def submit(self, work: Callable[[], T], done: Callable[[Finished[T]], None]) -> None:
        """Run ``work`` after all that was submitted before; then ``done`` on the loop."""
        ...

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` and wait for its end, also when cancelled: it is never left halfway."""
        ...

    def close(self) -> None:
        """Accept nothing more; what was submitted is still done."""
        ...


class Runtime(Protocol):
    """What the backend takes from the machine."""

    random: Random

    def now_ns(self) -> int:
        """Wall clock, ns since the Unix epoch. May jump."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary point; never goes back."""
        ...

    def stopwatch(self) -> Watch:
        """Start to measure how long a function runs in this thread."""
        ...

    def worker(self, name: str) -> Worker:
        """Start a worker."""
        ...


@define
class ThreadWorker:
    """A thread of its own, fed by a queue; results return to the loop that made it."""

    name: str
    _queue: "queue.SimpleQueue[Callable[[], None] | None]" = field(
        factory=lambda: queue.SimpleQueue[Callable[[], None] | None]()
    )
    _token: trio.lowlevel.TrioToken = field(factory=trio.lowlevel.current_trio_token)

    def __attrs_post_init__(self) -> None:
        threading.Thread(target=self._work, name=self.name, daemon=True).start()

    def _work(self) -> None:
        while (step := self._queue.get()) is not None:
            step()

    def submit(self, work: Callable[[], T], done: Callable[[Finished[T]], None]) -> None:
        """Run ``work`` in the thread, then ``done`` on the loop."""

        def step() -> None:
            try:
                finished = Finished(value=work())
            except BaseException as error:  # Handed on, whatever it is.
                finished = Finished[T](error=error)
            try:
                self._token.run_sync_soon(done, finished)
            except trio.RunFinishedError:
                return  # The loop has ended: nobody is left to be told.

        self._queue.put(step)

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the thread and wait for its end."""
        return await wait_for(self, work)

    def close(self) -> None:
        """Let the thread end after what was submitted."""
        self._queue.put(None)


async def wait_for(worker: Worker, work: Callable[[], T]) -> T:
    """Submit ``work`` and sleep until it is done. A cancellation waits: work is never halved."""
    task = trio.lowlevel.current_task()
    box: list[Finished[T]] = []

    def done(finished: Finished[T]) -> None:
        box.append(finished)
        trio.lowlevel.reschedule(task)

    worker.submit(work, done)
    await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
    return box[0].unwrap()


@define
class SystemRuntime:
    """The real machine."""

    random: Random = field(factory=lambda: Random(os.urandom(32)))

    def now_ns(self) -> int:
        """Wall clock, ns since the Unix epoch."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds from an arbitrary point."""
        return time.monotonic()

    def stopwatch(self) -> Watch:
        """Start to measure processor time, or the wall's if much of that goes by."""
        return Stopwatch()

    def worker(self, name: str) -> Worker:
        """Start a thread."""
        return ThreadWorker(name)


@define(eq=False)
class LoopThread:
    """A trio loop in a thread of its own, for a program that has none.

    ``main`` runs in it, and calls what it is given once it is ready; the loop ends with ``main``.
    """

    name: str
    main: Callable[[Callable[[], None]], Awaitable[None]]
    _ready: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread | None = None
    _token: trio.lowlevel.TrioToken | None = None
    _nursery: trio.Nursery | None = None
    _error: BaseException | None = None

    def start(self) -> None:
        """Start it, and return when it is ready.

        Raises: what ``main`` raised instead.
        """
        # A daemon: a program that forgets to end it can end itself.
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run ``work`` on the loop and wait for its end; what interrupts the wait cancels it.

        Raises: what ``work`` raises; trio.RunFinishedError if the loop has ended.
        """
        done, scope = threading.Event(), trio.CancelScope()
        box: list[Finished[T]] = [Finished(error=trio.RunFinishedError())]

        async def step() -> None:
            try:
                with scope:
                    box.append(Finished(value=await work()))
            except Exception as error:  # Handed on, whatever it is.
                box.append(Finished[T](error=error))
            finally:
                done.set()

        nursery, token = self._nursery, self._token
        if nursery is None or token is None:
            raise trio.RunFinishedError

        def begin() -> None:
            try:
                nursery.start_soon(step)
            except RuntimeError:  # It is closed: the loop is about to end.
                done.set()

        token.run_sync_soon(begin)
        try:
            done.wait()
        except BaseException:
            token.run_sync_soon(scope.cancel)
            raise
        return box[-1].unwrap()

    def stop(self) -> None:
        """Cancel all that runs on the loop, and wait for its end."""
        nursery, token = self._nursery, self._token
        if nursery is not None and token is not None:
            token.run_sync_soon(nursery.cancel_scope.cancel)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as error:  # Raised in the thread that started this one.
            self._error = error
        finally:
            self._nursery = None
            self._ready.set()

    async def _serve(self) -> None:
        async with trio.open_nursery() as nursery:
            self._token, self._nursery = trio.lowlevel.current_trio_token(), nursery
            await self.main(self._ready.set)
