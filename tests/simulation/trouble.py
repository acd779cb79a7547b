"""What goes wrong in a world: crashes, kills, a clock that jumps, a network that holds back."""

from collections.abc import Callable
from random import Random

import trio
from attrs import define, field

from flow_backend.actors.backend import Backend
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_mutation import MutationDone, NotDone, RunMutation
from flow_backend.testing.link import SimLink
from flow_backend.testing.sim import SimRuntime
from flow_backend.values.value import JsonValue
from tests.simulation.faults import Faults

_RECENT_SECONDS = 1.0
_RESTARTS_ALLOWED = 3
"""Of the actor that is allowed the fewest; one more ends the process."""


class RaisingReply:
    """Takes an answer by raising: what tells it fails in the middle of its work."""

    def put(self, message: MutationDone | NotDone) -> None:
        match message:
            case MutationDone():
                raise RuntimeError("a reply that could not be given")
            case NotDone():
                pass


@define(eq=False)
class Trouble:
    """Does what the faults say, and knows how much of what has failed is its own work.

    Attributes:
        machine_steps: for the lives that are still to come, at which step each is killed.
        latest_ns: the latest that the wall clock has ever shown.
    """

    runtime: SimRuntime
    faults: Faults
    links: list[SimLink]
    token: Callable[[str], str]
    machine_steps: list[int] = field(init=False)
    backend: Backend | None = None
    latest_ns: int = 0
    _crashed: int = 0
    _restarts: int = 0
    _session_crashes: int = 0
    _kills: list[tuple[str, int]] = field(init=False)
    is_over: bool = False
    _jumped: list[tuple[float, int]] = field(factory=list[tuple[float, int]])

    def __attrs_post_init__(self) -> None:
        self.machine_steps = list(self.faults.machine_steps)
        self._kills = list(self.faults.killed_actors)

    @property
    def random(self) -> Random:
        return self.runtime.random

    async def run(self) -> None:
        """Make all the trouble that there is to be."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._crash_some)
            nursery.start_soon(self._kill_some)
            nursery.start_soon(self._turn_clock)
            for _ in range(self.faults.partitions):
                nursery.start_soon(self._partition)
            for _ in range(self.faults.swizzles):
                nursery.start_soon(self._swizzle)

    def stop(self) -> None:
        """End all trouble: from here on everything must settle."""
        self.is_over = True
        self.machine_steps.clear()
        # An actor that is yet to fail may do so: it must settle all the same.
        self.runtime.steps.machine_at = None
        for link in self.links:
            link.release()

    # --- Actors ----------------------------------------------------------------------------------

    async def _crash_some(self) -> None:
        for _ in range(self.faults.crashes):
            await trio.sleep(self.random.random() * 1.5)
            self._crash_something()

    def _crash_something(self) -> None:
        """Let an actor raise: by a message that it cannot take, or while it tells an outcome."""
        backend = self.backend
        if backend is None:
            return
        self._crashed += 1
        match self.random.randrange(4):
            case 0:
                self.runtime.reach("a table crashed")
                table = self.random.choice(list(backend.tables.values()))
                table.inbox.put(None)  # type: ignore[arg-type]
            case 1:
                self.runtime.reach("the queries crashed")
                backend.query_actor.inbox.put(None)  # type: ignore[arg-type]
            case 2:
                self.runtime.reach("the writer crashed before a commit")
                backend.mutation.inbox.put(None)  # type: ignore[arg-type]
            case _:
                self.runtime.reach("the writer crashed after a commit")
                args: dict[str, JsonValue] = {"token": self.token("crash"), "to": "a"}
                call = Call("s:append", args)
                backend.mutation.inbox.put(RunMutation(call, RaisingReply()))

    async def _kill_some(self) -> None:
        """Let one actor after another fail at a step that it takes soon."""
        steps = self.runtime.steps
        for actor, step in self._kills:
            steps.kills[actor] = steps.counts.get(actor, 0) + step
            await trio.sleep(self.random.random() * 0.5)

    def lived(self, was_hurt: bool) -> None:
        """Take note of what has failed in a life of the server; a bad disk excuses all."""
        backend = self.backend
        if backend is not None and not was_hurt:
            self._restarts += backend.supervisor.restarts
        self.backend = None

    def ended_by_itself(self, errors: BaseException, was_hurt: bool) -> None:
        """Take note that the process ended: only a bad disk or many failures give it the right."""
        injected = self._crashed + len(self.runtime.steps.killed)
        assert was_hurt or injected > _RESTARTS_ALLOWED, f"the server ended by itself: {errors!r}"

    def check(self) -> None:
        """Check that no actor failed but those that were made to."""
        killed = self.runtime.steps.killed
        for actor, _ in killed:
            self.runtime.reach(f"{actor} failed at a step")
        sessions = sum(actor == "session" for actor, _ in killed)
        injected = self._crashed + len(killed) - sessions
        assert self._restarts <= injected, (
            f"{self._restarts} actors failed, and {injected} were made to"
        )
        crashed = self.runtime.reached.get("a session crashed", 0)
        assert crashed <= sessions, f"{crashed} sessions failed, and {sessions} were made to"

    # --- The clock and the network ---------------------------------------------------------------

    async def _turn_clock(self) -> None:
        self._look_at_clock()
        for jump in self.faults.clock_jumps_ns:
            await trio.sleep(self.random.random() * 0.7)
            self.jump(jump)

    @property
    def recent_ns(self) -> int:
        """The latest that the wall clock has shown within a second: what began then ends now."""
        since = self.runtime.monotonic() - _RECENT_SECONDS
        shown = [wall_ns for at, wall_ns in self._jumped if at >= since]
        return max([*shown, self.runtime.now_ns()])

    @property
    def latest_shown_ns(self) -> int:
        """The latest that the wall clock has ever shown."""
        return max([*(wall_ns for _, wall_ns in self._jumped), self.runtime.now_ns()])

    def jump(self, by_ns: int) -> None:
        """Set the wall clock."""
        self._jumped.append((self.runtime.monotonic(), self.runtime.now_ns()))
        self._look_at_clock()
        self.runtime.offset_ns += by_ns
        self._look_at_clock()
        self.runtime.reach("clock jumped")

    def _look_at_clock(self) -> None:
        # All that is still to come of the run counts too.
        self.latest_ns = max(self.latest_ns, self.runtime.now_ns() + 300 * 10**9)

    async def _partition(self) -> None:
        """Hold many connections at once, and let go of all of them later."""
        await trio.sleep(self.random.random())
        held = [link for link in self.links if self.random.random() < 0.6]
        for link in held:
            self.runtime.reach("partition")
            link.hold()
        await trio.sleep(self.random.random() * 5)
        for link in held:
            link.release()

    async def _swizzle(self) -> None:
        """Hold connections one after another, and let go of them in another order."""
        await trio.sleep(self.random.random())
        held = [link for link in self.links if self.random.random() < 0.7]
        for link in held:
            self.runtime.reach("swizzle")
            link.hold()
            await trio.sleep(self.random.random() * 0.2)
        self.random.shuffle(held)
        for link in held:
            await trio.sleep(self.random.random() * 0.2)
            link.release()
