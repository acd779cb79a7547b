"""The outgoing side of all sessions: one task that writes what is ready."""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Protocol

import trio
from attrs import define, field

from flow_backend.actors.messages.to_query import Round
from flow_backend.actors.transport import Frame
from flow_backend.runtime import Runtime
from flow_backend.sync.codec import transition_chunks, transition_parts
from flow_backend.sync.messages import Version

TextFrame = Callable[[Sequence[bytes]], Frame]
"""Puts a WebSocket header before a message's parts."""

_SLICE_SECONDS = 0.002
_SESSIONS_A_LOOK = 16
"""How many sessions are written to between two looks at the clock."""

_KEPT_FRAMES = 64


class Flushes(Protocol):
    """A session, as this module sees it."""

    def flush(self) -> None:
        """Write what is ready, as far as the socket takes it."""
        ...

    def crash(self, error: Exception) -> None:
        """End, since flushing failed."""
        ...


@define
class FrameCache:
    """Transitions that were just encoded: clients at equal versions share the whole frame."""

    text_frame: TextFrame
    # Beside each frame its round: results are told apart by address, so they must not be freed.
    _frames: dict[tuple[object, ...], tuple[Frame, Round]] = field(
        factory=dict[tuple[object, ...], tuple[Frame, Round]]
    )
    # What was given last: in a fan-out the next client is mostly in the same place.
    _last: tuple[Version, Round, Frame] | None = None
    encoded: int = 0

    def transition(self, start: Version, done: Round) -> Frame:
        """Encode a transition, or give the frame that another client got for the same one."""
        last = self._last
        if last is not None and last[1] is done and (last[0] is start or last[0] == start):
            return last[2]
        frame = self._find(start, done)
        self._last = (start, done, frame)
        return frame

    def _find(self, start: Version, done: Round) -> Frame:
        changes = done.changes
        if len(changes) > 4:
            return self._encode(start, done)
        key = (
            start,
            done.version,
            done.removed,
            *((i, id(result)) for i, result in changes.items()),
        )
        kept = self._frames.get(key)
        if kept is None:
            if len(self._frames) >= _KEPT_FRAMES:
                self._frames.clear()
            kept = self._frames[key] = ((b"".join(self._encode(start, done)),), done)
        return kept[0]

    def _encode(self, start: Version, done: Round) -> Frame:
        self.encoded += 1
        changes = [(i, result.body, result.updated) for i, result in done.changes.items()]
        return self.text_frame(transition_parts(start, done.version, changes, done.removed))

    def chunks(self, start: Version, done: Round, chunk_bytes: int) -> Frame:
        """Encode a transition in pieces, each a frame, for a client that joins them."""
        changes = [(i, result.body, result.updated) for i, result in done.changes.items()]
        text = b"".join(transition_parts(start, done.version, changes, done.removed))
        pieces = transition_chunks(text, f"{done.version.ts}", chunk_bytes)
        return tuple(chain.from_iterable(self.text_frame([piece]) for piece in pieces))

    def clear(self) -> None:
        """Let go of the frames, and with them of their results."""
        self._frames.clear()
        self._last = None


@define(kw_only=True)
class Outbox:
    """Writes what sessions have ready.

    One task for all of them: waking a task for each session and round would cost as much again as
    writing to its socket. Nothing in here waits for a client; a socket that is full calls back.

    In:   sessions that have something to write.
    Owns: the queue of those sessions, and the frames that they share.
    """

    frames: FrameCache
    runtime: Runtime
    _ready: deque[Flushes] = field(factory=deque[Flushes])
    _awaits_round: bool = False
    _wake: trio.Event = field(factory=trio.Event)
    _idle: trio.Event = field(factory=trio.Event)

    def ready(self, session: Flushes, *, awaits_round: bool = False) -> None:
        """Note that a session has something to write. It says so once until it is flushed.

        ``awaits_round`` says that a round follows at once: both are then written together.
        """
        self._ready.append(session)
        self._awaits_round = self._awaits_round or awaits_round
        if not self._wake.is_set():
            self._wake.set()
            self._idle = trio.Event()

    async def wait_idle(self) -> None:
        """Wait until all that was ready is written, or waits for its socket."""
        if self._ready:
            await self._idle.wait()

    async def run(self) -> None:
        """Work for ever."""
        while True:
            await self._wake.wait()
            if self._awaits_round:
                # One step for the tables, one for the QueryActor. One system call is saved for each
                # answer by this.
                self._awaits_round = False
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
            until = self.runtime.monotonic() + _SLICE_SECONDS
            since_look = 0
            while self._ready:
                session = self._ready.popleft()
                try:
                    session.flush()
                except Exception as error:
                    session.crash(error)
                since_look += 1
                if since_look == _SESSIONS_A_LOOK:
                    since_look = 0
                    if self.runtime.monotonic() > until:
                        await trio.lowlevel.checkpoint()
                        until = self.runtime.monotonic() + _SLICE_SECONDS
            self.frames.clear()
            self._wake = trio.Event()
            self._idle.set()
