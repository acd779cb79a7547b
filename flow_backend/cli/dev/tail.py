"""What functions say under ``flow dev``: calls that failed or logged something, as they end."""

import time
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, field

from flow_backend.cli.dev.screen import Screen
from flow_backend.cli.logs import PATH, POLL_SECONDS, details, headline
from flow_backend.cli.target import AdminClient, CommandError, find_target

_NO_LOG_STATUS: Final = 404


@define(eq=False)
class Tail:
    """Follows the log of functions on the server of a data folder, over its restarts."""

    data: Path
    screen: Screen
    _cursor: float = field(factory=lambda: time.time() * 1000, init=False)
    _is_there: trio.Event = field(factory=trio.Event, init=False)

    def meet(self) -> None:
        """Hear that a server is ready."""
        self._is_there.set()

    async def run(self) -> None:
        """Show entries for ever, from the first server's start on."""
        while True:
            await self._is_there.wait()
            self._is_there = trio.Event()
            try:
                await self._follow()
            except CommandError as error:
                # It is gone, and the next one will be met; or it keeps no log.
                if error.status not in {None, _NO_LOG_STATUS}:
                    self.screen.bad(f"The log of functions cannot be read: {error.message}")

    async def _follow(self) -> None:
        target = await trio.to_thread.run_sync(lambda: find_target(None, None, str(self.data)))
        with target.client(POLL_SECONDS) as client:
            while True:
                # Ctrl-C does not wait for an answer.
                answer = await trio.to_thread.run_sync(self._ask, client, abandon_on_cancel=True)
                for entry in answer["entries"]:
                    self._show(entry)
                self._cursor = answer["newCursor"]

    def _ask(self, client: AdminClient) -> Any:
        return client.get(PATH, cursor=str(self._cursor))

    def _show(self, entry: dict[str, Any]) -> None:
        failed = entry["error"] is not None
        if failed or entry["logLines"]:
            self.screen.called(headline(entry), details(entry), failed=failed)
