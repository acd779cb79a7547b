"""Exports and imports together, as the server starts them."""

from pathlib import Path

import trio
from attrs import define, field
from starlette.routing import Route

from flow_backend.actors.gate import Gate
from flow_backend.server.config import Settings
from flow_backend.server.exports import DataBackend, Exports
from flow_backend.server.imports import Imports


@define
class Transfers:
    """Serves exports and imports; their files stand in folders of their own in the data folder."""

    backend: DataBackend
    settings: Settings
    gate: Gate
    _exports: Exports = field(init=False)
    _imports: Imports = field(init=False)

    def __attrs_post_init__(self) -> None:
        folder = Path(self.settings.data)
        self._exports = Exports(self.backend, folder / "exports")
        self._imports = Imports(self.backend, self.settings, self.gate, folder / "imports")

    def routes(self) -> list[Route]:
        """Give the routes of all endpoints."""
        return [*self._exports.routes(), *self._imports.routes()]

    async def run(self) -> None:
        """Serve them, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._exports.run)
            nursery.start_soon(self._imports.run)
