"""The scheduler's actor: it waits for the wall clock, so that nobody else has to."""

import trio
from attrs import define

from flow_backend.actors.mailbox import Mailbox, Put
from flow_backend.actors.messages import ClockPassed, NextInstant
from flow_backend.actors.wall_timer import WallTimer


@define(kw_only=True)
class SchedulerActor:
    """Tells those who wait for an instant that it has come, however many instants they wait for.

    In:   NextInstant from the QueryActor: the earliest one of its live queries.
    Out:  ClockPassed to the QueryActor.
    Owns: the timer. What it waits for is told again after a failure.
    """

    inbox: Mailbox[NextInstant]
    queries: Put[ClockPassed]
    timer: WallTimer
    at: NextInstant | None = None

    async def run(self) -> None:
        """Work for ever."""
        while True:
            # A server in which nobody waits for an instant does not wake at all.
            with trio.move_on_after(self.timer.sleep_seconds):
                [self.at] = await self.inbox.receive_batch(1)
                self.timer.wait_for(self.at.instant)
                self.at = None
            self._look()

    def _look(self) -> None:
        timer = self.timer
        if timer.until_ms is None:
            return
        if timer.was_set() < 0 or timer.has_come:
            # It knows best what that means for its queries, and tells what it waits for next.
            timer.wait_for(None)
            self.queries.put(ClockPassed())

    def forget(self) -> None:
        """Begin anew after a failure: all who wait are made to tell it again."""
        self.inbox.clear()
        self.timer.wait_for(None)
        self.queries.put(ClockPassed())
