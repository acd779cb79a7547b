"""The scheduler's actor: it waits for the wall clock, so that nobody else has to."""

from collections.abc import Mapping
from typing import assert_never

import orjson
import structlog
import trio
from attrs import define, field, frozen

from flow_backend.actors.mailbox import Mailbox, Put
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_mutation import MutationDone, NotDone, RunMutation
from flow_backend.actors.messages.to_query import ClockPassed
from flow_backend.actors.messages.to_scheduler import (
    CronsAnswered,
    CronsChanged,
    NextInstant,
    SchedulerMessage,
)
from flow_backend.actors.wall_timer import WallTimer
from flow_backend.functions.cron_steps import BoundCron, KeepCrons, TickCron, read_ticked
from flow_backend.functions.job_steps import Step
from flow_backend.functions.versions import Versions
from flow_backend.storage.base import Done

logger = structlog.get_logger()

_AGAIN_MS = 1000.0
_FAILED_AGAIN_MS = 60_000.0
"""The writer itself has failed at it: not so often that it takes the process down."""
_KEEP = ""
"""Stands where a cron's name does, for the work on all of them."""


@frozen
class _Reply:
    """Where the writer answers: the answer waits beside the inbox, so none is lost."""

    cron: str
    answers: dict[str, MutationDone | NotDone]
    inbox: Put[CronsAnswered]

    def put(self, message: MutationDone | NotDone) -> None:
        self.answers[self.cron] = message
        self.inbox.put(CronsAnswered())


@define(kw_only=True)
class SchedulerActor:
    """Tells those who wait for an instant that it has come, however many they wait for.

    In:   NextInstant from the QueryActor: the earliest one of its live queries; the writer's
          answers; CronsChanged at a switch.
    Out:  ClockPassed to the QueryActor; RunMutation to the MutationActor, which starts crons' runs.
    Owns: the timer. What it waits for is told again after a failure, and crons are on disk.

    Attributes:
        has_rows: whether the database has crons, of the app as it is or was before.
    """

    inbox: Mailbox[SchedulerMessage]
    queries: Put[ClockPassed]
    mutations: Put[RunMutation]
    timer: WallTimer
    versions: Versions
    has_rows: bool = False
    at: SchedulerMessage | None = None
    _queries_wait: float | None = None
    # When to look at a cron, ms since the epoch; not those that the writer has.
    _upcoming: dict[str, float] = field(factory=dict[str, float])
    _answers: dict[str, MutationDone | NotDone] = field(factory=dict[str, MutationDone | NotDone])
    _kept: bool = False

    @property
    def crons(self) -> Mapping[str, BoundCron]:
        """Those that the app declares now, by name."""
        return self.versions.newest.crons

    async def run(self) -> None:
        """Work for ever."""
        if not self._kept:
            self._kept = True
            if self.crons or self.has_rows:
                self._keep()
        while True:
            # A server in which nobody waits for an instant does not wake at all.
            with trio.move_on_after(self.timer.sleep_seconds):
                [self.at] = await self.inbox.receive_batch(1)
                self._handle(self.at)
                self.at = None
            self._look()

    def _handle(self, message: SchedulerMessage) -> None:
        match message:
            case NextInstant(instant):
                self._queries_wait = instant
            case CronsAnswered():
                self._take_answers()
            case CronsChanged(upcoming):
                # What was asked before the switch was answered before it, and counts no more.
                self._take_answers()
                self._upcoming = dict(upcoming)
                self.has_rows, self._kept = bool(upcoming), True
            case _:
                assert_never(message)

    def _look(self) -> None:
        timer = self.timer
        was_set = timer.was_set() if timer.until_ms is not None else 0.0
        now = timer.now_ms
        if self._queries_wait is not None and (was_set < 0 or self._queries_wait <= now):
            # It knows best what that means for its queries, and tells what it waits for next.
            self._queries_wait = None
            self.queries.put(ClockPassed())
        for name in [name for name, at in self._upcoming.items() if at <= now]:
            del self._upcoming[name]
            self._tick(name)
        waited = [*self._upcoming.values()]
        if self._queries_wait is not None:
            waited.append(self._queries_wait)
        timer.wait_for(min(waited, default=None))

    def forget(self) -> None:
        """Begin anew after a failure: all who wait are made to tell it again."""
        self.inbox.clear()
        self._queries_wait = None
        self._upcoming.clear()
        self._kept = False
        self.timer.wait_for(None)
        self.queries.put(ClockPassed())

    # --- Crons -----------------------------------------------------------------------------------

    def _keep(self) -> None:
        self._ask(_KEEP, KeepCrons(tuple(self.crons.values()), self._seed()))

    def _tick(self, name: str) -> None:
        if name == _KEEP:
            self._keep()
        elif name in self.crons:
            self._ask(name, TickCron(self.crons[name], self._seed()))

    def _ask(self, name: str, step: Step) -> None:
        call = Call("_crons:tick" if name else "_crons:keep", None)
        reply = _Reply(name, self._answers, self.inbox)
        self.mutations.put(RunMutation(call, reply, step=step))

    def _seed(self) -> int:
        return self.timer.runtime.random.getrandbits(64)

    def _take_answers(self) -> None:
        answers = list(self._answers.items())
        self._answers.clear()
        for name, answer in answers:
            result = answer.outcome.result if isinstance(answer, MutationDone) else None
            if not isinstance(result, Done):
                # A full disk, or a writer that fell: the row says what to do, whenever that is.
                again = _AGAIN_MS if result is None else _FAILED_AGAIN_MS
                self._upcoming[name] = self.timer.now_ms + again
            elif name == _KEEP:
                self._upcoming = orjson.loads(result.result)
            else:
                self._ticked(name, result)

    def _ticked(self, name: str, result: Done) -> None:
        became, instant = read_ticked(result)
        if became == "busy":
            logger.warning("a cron's run was left out: the one before has not ended", cron=name)
        elif became == "missed":
            logger.info("a cron's run was missed, and is left out as declared", cron=name)
        if instant is not None:
            self._upcoming[name] = instant
