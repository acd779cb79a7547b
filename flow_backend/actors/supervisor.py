"""Starts actors, and starts them again when they fail: a bounded number of times, then no more."""

from collections import deque
from collections.abc import Awaitable, Callable

import structlog
import trio
from attrs import define, field

from flow_backend.errors import FlowError, StorageError
from flow_backend.runtime import Runtime

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


@define
class Supervisor:
    """The one place where actors' tasks are started."""

    nursery: trio.Nursery
    runtime: Runtime
    restarts: int = 0

    def start(
        self,
        name: str,
        run: Callable[[], Awaitable[None]],
        recover: Callable[[], None],
        intensity: RestartIntensity,
    ) -> None:
        """Start an actor. When it fails, ``recover`` mends what depends on it, and it runs on."""
        self.nursery.start_soon(self._keep, name, run, recover, intensity, name=name)

    async def _keep(
        self,
        name: str,
        run: Callable[[], Awaitable[None]],
        recover: Callable[[], None],
        intensity: RestartIntensity,
    ) -> None:
        while True:
            try:
                await run()
            except StorageError:
                # Nobody knows what reached the disk: the process must end, and read it anew.
                raise
            except Exception as error:
                logger.exception("an actor failed", actor=name)
                if not intensity.allows(self.runtime.monotonic()):
                    raise ActorFailed(
                        f"{name} failed {intensity.most + 1} times within "
                        f"{intensity.window_seconds:g} s; the last error: {error!r}"
                    ) from error
                self.restarts += 1
                recover()
