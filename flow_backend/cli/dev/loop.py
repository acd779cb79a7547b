"""What ``flow dev`` does: it runs the parts, and brings each save to the server."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import trio
from attrs import define, field

from flow_backend.cli.dev.checks import Checks
from flow_backend.cli.dev.pushes import Live, NotLive, Pushes
from flow_backend.cli.dev.saves import watch
from flow_backend.cli.dev.screen import Screen
from flow_backend.cli.dev.server import DevServer
from flow_backend.cli.dev.tail import Tail
from flow_backend.cli.dev.web import DevWeb
from flow_backend.cli.target import CommandError
from flow_backend.errors import AppDefinitionError
from flow_backend.functions.package import Package, read_package_folder

T = TypeVar("T")

_TELL_SECONDS: Final = 2.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@define(eq=False)
class DevLoop:
    """Brings what is saved to the server, one save after the other.

    Attributes:
        folder: of the app's package.
        server: its child process.
        tail: shows what functions say.
        web: the web client's; None if there is none, or it is not wanted.
    """

    folder: Path
    url: str
    checks: Checks
    pushes: Pushes
    screen: Screen
    server: DevServer
    tail: Tail
    web: DevWeb | None = None
    _seen: str | None = field(default=None, init=False)
    _is_new_life: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Run until a signal comes; no child process is left then.

        Raises: ServerGaveUp, in a group.
        """
        tell, changes = trio.open_memory_channel[None](1)
        self.server.on_ready = lambda: self._on_ready(tell)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_a_signal, nursery.cancel_scope)
                nursery.start_soon(watch, self.folder, tell.clone())
                nursery.start_soon(self.server.run)
                nursery.start_soon(self.tail.run)
                if self.web is not None:
                    nursery.start_soon(self.web.run)
                await self._look()
                async for _ in changes:
                    await self._look()
        finally:
            self.pushes.close()

    def _on_ready(self, tell: trio.MemorySendChannel[None]) -> None:
        self._is_new_life = True
        # If the channel is full, it is known already that there is something to look at.
        with suppress(trio.WouldBlock):
            tell.send_nowait(None)

    async def _look(self) -> None:
        """Read the files, and do what they ask for if they are not those of before."""
        if self._is_new_life:
            self._is_new_life = False
            await self._meet()
        try:
            package = await _in_thread(lambda: read_package_folder(self.folder))
        except (AppDefinitionError, OSError) as error:
            self.screen.bad(str(error))
            return
        if package.digest == self._seen:
            return
        self._seen = package.digest
        if self.server.is_ready:
            await self._bring(package)
        else:
            await self._check(package)

    async def _meet(self) -> None:
        """Take up with a server that has become ready."""
        try:
            await _in_thread(self.pushes.connect)
        except CommandError as error:
            self.screen.bad(error.message)
            return
        self._seen = None
        self.tail.meet()
        self.screen.good(f"Flow is ready at {self.url}; what you save in {self.folder.name}/ runs")

    async def _check(self, package: Package) -> None:
        """See whether the app loads at all; a server starts with one that does."""
        try:
            written = await _in_thread(self.checks.run)
        except (AppDefinitionError, OSError) as error:
            self.screen.bad("The app does not load. Save it when this is mended:", [str(error)])
            return
        self._tell_types(written)
        self.server.start()

    async def _bring(self, package: Package) -> None:
        """Push a package; the types are made meanwhile, on another core."""
        began = trio.current_time()
        patience = _Patience(self.screen, time.monotonic())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._make_types)
            try:
                result = await _in_thread(lambda: self.pushes.push(package, patience.tell))
            except CommandError as error:
                self._seen = None  # It never came to a version: the next look tries again.
                self.screen.bad(f"It could not be pushed: {error.message}")
                return
            self._tell(result, trio.current_time() - began)

    def _tell(self, result: Live | NotLive | None, seconds: float) -> None:
        match result:
            case Live(number, changes):
                self.screen.good(f"version {number} is live: {changes}, {seconds:.2f} s")
            case NotLive(reasons):
                self.screen.bad("Not live; the version before goes on serving:", reasons)
            case None:
                pass

    async def _make_types(self) -> None:
        if self.checks.types is None:
            return
        try:
            written = await _in_thread(self.checks.run)
        except AppDefinitionError:
            return  # The server says the same.
        except OSError as error:
            self.screen.bad(f"The types cannot be written: {error}")
        else:
            self._tell_types(written)

    def _tell_types(self, written: list[str]) -> None:
        if written:
            self.screen.plain(f"types: {', '.join(written)} in {self.checks.types}")


@define
class _Patience:
    """Shows where a push stands, now and then."""

    screen: Screen
    told_at: float

    def tell(self, text: str) -> None:
        """Hear where it stands; called from the push's thread, many times a second."""
        if time.monotonic() - self.told_at > _TELL_SECONDS:
            self.told_at = time.monotonic()
            self.screen.plain(f"{text} …")


async def _until_a_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(*_SIGNALS) as signals:
        async for _ in signals:
            scope.cancel()


async def _in_thread(work: Callable[[], T]) -> T:
    # Ctrl-C does not wait for an answer: what it was for is over.
    return await trio.to_thread.run_sync(work, abandon_on_cancel=True)
