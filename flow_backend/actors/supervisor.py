"""Starts actors, and starts them again when they fail: a bounded number of times, then no more."""

from collections import deque
from collections.abc import Awaitable, Callable

import structlog
import trio
from attrs import define, field

from flow_backend.actors.blame import described, shown
from flow_backend.errors import FlowError, StorageError, leaves
from flow_backend.runtime import Runtime
from flow_backend.storage.failures import broken_invariant

logger = structlog.get_logger()


class ActorFailed(FlowError):
    """An actor failed too often; the process ends (exit code 70) and is started again."""

    exit_code = 70


@define
class RestartIntensity:
    """How many restarts are allowed within a window, as Erlang's supervisors have it."""

    most: int = 5
    window_seconds: float = 30.0
    _times: deque[float] = field(factory=deque[float])

    def allows(self, now: float) -> bool:
        """Count a restart; say whether it is still one of those that are allowed."""
        self._times.append(now)
        while self._times and now - self._times[0] > self.window_seconds:
            self._times.popleft()
        return len(self._times) <= self.most

    def forget(self) -> None:
        """Begin to count anew."""
        self._times.clear()


def _nothing() -> None:
    """Mend nothing: the actor goes on with what it has."""


def _nobody() -> object:
    """Blame nobody."""
    return None


@define(eq=False, kw_only=True)
class Kept:
    """An actor that is kept running.

    Attributes:
        run: its work, for ever.
        recover: mends what depends on it; called after each failure, before it runs on.
        at: what it was at work on when it failed, for the log.
        beyond: the actor that is restarted with it, with all that goes down with that one, when
            it has failed too often; without one, the process ends then.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    recover: Callable[[], None] = _nothing
    intensity: RestartIntensity = field(factory=RestartIntensity)
    at: Callable[[], object] = _nobody
    beyond: "Kept | None" = None
    scope: trio.CancelScope = field(factory=trio.CancelScope)


@define
class Supervisor:
    """The one place where actors' tasks are started."""

    nursery: trio.Nursery
    runtime: Runtime
    restarts: int = 0

    def start(self, kept: Kept) -> None:
        """Start an actor, and start it again whenever it fails."""
        self.nursery.start_soon(self._keep, kept, name=kept.name)

    async def _keep(self, kept: Kept) -> None:
        while True:
            with trio.CancelScope() as kept.scope:
                try:
                    await kept.run()
                except Exception as error:
                    self._raise_final(error)
                    logger.error("an actor failed", **_told(kept, error))  # noqa: TRY400  # A traceback shows values.
                    self._count(kept, error)
            # Here also when an actor that failed too often takes this one along.
            kept.recover()

    def _raise_final(self, error: Exception) -> None:
        """Raise what nobody mends: the process must end, and read the disk anew."""
        for leaf in leaves(error):
            if isinstance(leaf, StorageError):
                raise leaf
            if (broken := broken_invariant(leaf)) is not None:
                raise broken from leaf

    def _count(self, kept: Kept, error: Exception) -> None:
        """Count a failure, and take down more when there are too many.

        Raises: ActorFailed when the process is to end.
        """
        self.restarts += 1
        if kept.intensity.allows(self.runtime.monotonic()):
            return
        told = f"{kept.name} failed {kept.intensity.most + 1} times within "
        told += f"{kept.intensity.window_seconds:g} s"
        if kept.beyond is None:
            self.restarts -= 1
            raise ActorFailed(f"{told}; the last error: {shown(error)}") from error
        logger.error("an actor failed too often: its group is started again", actor=kept.name)
        kept.intensity.forget()
        self._count(kept.beyond, error)
        kept.beyond.scope.cancel()


def _told(kept: Kept, error: Exception) -> dict[str, str]:
    return {"actor": kept.name, "error": shown(error), **described(kept.at())}
