"""Keep-alive for all sockets by one task, instead of a timer for each."""

from itertools import count
from typing import Final

import trio
from attrs import define, field

from flow_backend.server.config import Settings
from flow_backend.server.socket import Pulse, WebSocket

_SLOTS: Final = 8


@define
class Wheel:
    """Looks after each socket once a turn, an eighth of them at a time.

    Owns: which sockets are open, and the time that they go by.

    Source: the sync protocol, "Keep-alive".
    """

    settings: Settings
    pulse: Pulse = field(factory=Pulse)
    _slots: list[dict[WebSocket, None]] = field(
        factory=lambda: [dict[WebSocket, None]() for _ in range(_SLOTS)]
    )
    _numbers: "count[int]" = field(factory=count)
    _slot_of: dict[WebSocket, int] = field(factory=dict[WebSocket, int])

    def add(self, socket: WebSocket) -> None:
        """Look after a socket from now on."""
        slot = next(self._numbers) % _SLOTS
        self._slot_of[socket] = slot
        self._slots[slot][socket] = None

    def discard(self, socket: WebSocket) -> None:
        """Forget a socket."""
        slot = self._slot_of.pop(socket, None)
        if slot is not None:
            del self._slots[slot][socket]

    @property
    def sockets(self) -> tuple[WebSocket, ...]:
        """All sockets that are looked after."""
        return tuple(self._slot_of)

    async def run(self) -> None:
        """Turn for ever, at a quarter of the shortest time that is to be kept."""
        settings = self.settings
        shortest = min(settings.ping_seconds, settings.message_seconds, settings.silence_seconds)
        turn_seconds = shortest / 4
        # A socket comes by once a turn, so what is due before the next visit is done at this one.
        ping_after = settings.ping_seconds - turn_seconds
        message_after = settings.message_seconds - turn_seconds
        slot = 0
        while True:
            await trio.sleep(turn_seconds / _SLOTS)
            self.pulse.now = trio.current_time()
            for socket in tuple(self._slots[slot]):
                socket.beat(ping_after, message_after, settings.silence_seconds)
            slot = (slot + 1) % _SLOTS
