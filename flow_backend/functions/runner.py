"""Runs functions: finds them, checks their arguments, and turns how they end into a value."""

import hashlib
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, cast

import orjson
import structlog
import trio
from attrs import define, field

from flow_backend.errors import (
    AppError,
    FailedCall,
    FunctionError,
    InvalidArguments,
    InvalidResult,
    InvalidValue,
    LimitExceeded,
    NotCommitted,
    RequestBodyError,
    StorageError,
    WrongKind,
)
from flow_backend.functions.budget import Budget
from flow_backend.functions.calling import RunningCall
from flow_backend.functions.clock import Clock
from flow_backend.functions.context import (
    NOBODY,
    ActionClock,
    ActionCtx,
    Auth,
    Caller,
    Log,
    RunFromAction,
)
from flow_backend.functions.database import Database, Pages, WritableDatabase
from flow_backend.functions.endings import Ending, EndingKind, OnEnd
from flow_backend.functions.error_text import app_frames, uncaught, wordless
from flow_backend.functions.exchange import (
    ClientGone,
    Exchange,
    body_error_response,
    failure_response,
)
from flow_backend.functions.function import Function, Kind
from flow_backend.functions.http import HttpResponse
from flow_backend.functions.in_flight import InFlight, Unnoted
from flow_backend.functions.limits import Deadlines, Interrupted, Limits, Watched
from flow_backend.functions.outgoing import Outgoing
from flow_backend.functions.read_set import ReadSet
from flow_backend.functions.reads import Reads
from flow_backend.functions.registry import BoundApp
from flow_backend.functions.seed import Seed
from flow_backend.functions.validate import shown_path
from flow_backend.records import frozen
from flow_backend.runtime import Stopwatch, Watch
from flow_backend.schema.document import Instant
from flow_backend.storage.base import Done, InterruptedRead, Reader, Refused, TableName, Transaction
from flow_backend.storage.failures import broken_invariant
from flow_backend.values.encode import encode
from flow_backend.values.sizes import format_size
from flow_backend.values.value import JsonValue

logger: Final = structlog.get_logger()

ACTION_THREADS: Final = 16
"""For ``ctx.to_thread``, unless a setting says otherwise."""

_ENDED: Final = "It was ended before it was done: its time was over, or the server stopped."


@frozen
class QueryRun:
    """How one run of a query ended, and what it depends on.

    ``looked_at_identity`` says that the result is true for this identity only. ``wakes_at`` is the
    earliest instant at which it may be another, in ms: infinite if only a clock that is set back
    could change it, None if the run did not look at the clock.
    """

    result: Done | Refused
    read_set: ReadSet
    journal: str | None
    looked_at_identity: bool
    seconds: float
    wakes_at: float | None = None


@frozen
class Attempt:
    """How one run of an action ended.

    Attributes:
        error: the class of the error that ended it, None if it returned.
        again: whether another attempt might end otherwise.
    """

    result: Done | Refused
    error: str | None = None
    again: bool = False


def is_passing(error: BaseException) -> bool:
    """Say whether an action that failed so may succeed when it is run again.

    What the app says, and what is wrong with the call itself, stays as it is.
    """
    return isinstance(error, FailedCall) or not isinstance(error, (FunctionError, SystemExit))


def _nothing() -> None:
    """Interrupt nothing: this reader's reads are short, or its own affair."""


def _no_time() -> float:
    """Give what all durations are zero by."""
    return 0.0


def _untold(refused: Refused, error: BaseException) -> None:
    """Keep nothing of an error but what the caller is told."""


@define(kw_only=True)
class Runner:
    """Runs the functions of one app.

    It holds no state of a call: one runner serves all threads. ``on_refusal`` hears each error
    that a function ends with, itself: the tests of an app raise it again. ``on_end`` hears how
    calls end, for the log of functions: of queries only those that failed or logged something.
    ``log_words`` is whether an error's own words, which may quote arguments, go there too; the
    server's log then need not tell of it as well.
    """

    app: BoundApp
    limits: Limits
    deadlines: Deadlines
    now_ms: Callable[[], float]
    seed: Callable[[], int]
    env: Mapping[str, str] = field(factory=dict[str, str])
    redact: bool = False
    log_words: bool = False
    stopwatch: Callable[[], Watch] = Stopwatch
    in_flight: InFlight = field(factory=Unnoted)
    outgoing: Outgoing = field(factory=Outgoing)
    on_refusal: Callable[[Refused, BaseException], None] = _untold
    on_end: OnEnd | None = None
    monotonic: Callable[[], float] = _no_time
    threads: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(ACTION_THREADS))

    def query(
        self,
        path: str,
        args: JsonValue,
        caller: Caller,
        reader: Reader,
        journal: str | None = None,
        interrupt: Callable[[], None] = _nothing,
        now_ms: float | None = None,
    ) -> QueryRun:
        """Run a query at the reader's timestamp; ``now_ms`` is its time, if that is to be given."""
        watch = self.stopwatch()
        reads = Reads()
        pages = Pages(journal)
        budget = Budget(self.limits)
        database = Database(self.app, reader, budget, reads, pages)
        now_ms = self.now_ms() if now_ms is None else now_ms
        call = self._call(caller, budget, database, now_ms, Seed(self.seed()))
        started = self.monotonic()
        result = self._run(call, path, args, Kind.QUERY, interrupt)
        # It may run for each change of what it reads: that is only worth noting if it says so.
        if call.log.lines or call.log.failure is not None:
            self._note_end("Query", path, started, caller, call.log)
        return QueryRun(
            result,
            reads.read_set(),
            pages.journal if pages.used else None,
            call.auth.looked,
            watch.seconds(),
            call.clock.wakes_at,
        )

    def mutation(
        self,
        path: str,
        args: JsonValue,
        caller: Caller,
        transaction: Transaction,
        interrupt: Callable[[], None] = _nothing,
    ) -> Done | Refused:
        """Run a mutation in a transaction. If it is refused, the caller takes back its writes.

        Raises: NotCommitted, StorageError.
        """
        budget = Budget(self.limits)
        seed = Seed(self.seed())
        database = WritableDatabase(
            self.app, transaction, budget, None, transaction=transaction, seed=seed
        )
        call = self._call(caller, budget, database, transaction.now_ms, seed)
        started = self.monotonic()
        result = self._run(call, path, args, Kind.MUTATION, interrupt)
        self._note_end("Mutation", path, started, caller, call.log)
        return result

    def _note_end(
        self,
        kind: EndingKind,
        path: str,
        started: float,
        caller: Caller,
        log: Log,
        *,
        again: bool = False,
    ) -> None:
        if self.on_end is not None:
            seconds, lines = self.monotonic() - started, tuple(log.lines)
            now = self.now_ms()
            self.on_end(Ending(kind, path, now, seconds, caller, lines, log.failure, again))

    async def action(
        self, path: str, args: JsonValue, caller: Caller, run: RunFromAction
    ) -> Done | Refused:
        """Run an action once. It is cancelled from outside, if at all."""
        return (await self.attempt(path, args, caller, run)).result

    async def attempt(
        self, path: str, args: JsonValue, caller: Caller, run: RunFromAction
    ) -> "Attempt":
        """Run an action once, and say what kind of error ended it, if one did."""
        log, started = Log(self.limits), self.monotonic()
        try:
            attempt = await self._attempt(path, args, caller, run, log)
        except BaseException:  # It was cancelled, and somebody else says why.
            log.failure = log.failure or _ENDED
            self._note_end("Action", path, started, caller, log)
            raise
        self._note_end("Action", path, started, caller, log, again=attempt.again)
        return attempt

    async def _attempt(
        self, path: str, args: JsonValue, caller: Caller, run: RunFromAction, log: Log
    ) -> "Attempt":
        try:
            function = self._find(path, Kind.ACTION, caller)
            contract = self.app.contracts[path]
            self._checked_size(path, args)
            taken = contract.arguments(args)
            value = await function.call(
                self._action_context(Auth(caller.identity), log, run), **taken
            )
            return Attempt(Done(self._sized(contract.result(value), path), tuple(log.lines)))
        except (Exception, SystemExit) as error:  # All that app code raises is its answer.
            refused = self.refusal(error, path, log, caller)
            return Attempt(refused, type(error).__name__, again=is_passing(error))

    async def answer(self, exchange: Exchange, caller: Caller, run: RunFromAction) -> Attempt:
        """Run the action of an HTTP route, and hand over its response, whatever it is."""
        log, started = Log(self.limits), self.monotonic()
        try:
            return await self._answer_route(exchange, caller, run, log)
        except BaseException:  # It was cancelled.
            log.failure = log.failure or _ENDED
            raise
        finally:
            route = f"{exchange.method} {exchange.action.route}"
            self._note_end("HttpAction", route, started, caller, log)

    async def _answer_route(
        self, exchange: Exchange, caller: Caller, run: RunFromAction, log: Log
    ) -> Attempt:
        path = exchange.action.path
        auth = Auth(caller.identity, False, exchange.auth_failure)
        try:
            ctx = self._action_context(auth, log, run)
            response = cast("object", await exchange.action.call(ctx, exchange.request))
            if not isinstance(response, HttpResponse):
                raise InvalidResult(
                    f"The HTTP route {path} returned {type(response).__name__}, no HttpResponse"
                )
            await exchange.respond(response)
        except ClientGone:
            pass
        except RequestBodyError as error:
            logger.warning("a request's body failed", function=path, error=str(error))
            log.failure = str(error)
            return await self._say_instead(exchange, error, body_error_response(error))
        except (Exception, SystemExit) as error:  # All that app code raises is its answer.
            refused = self.refusal(error, path, log, caller)
            return await self._say_instead(exchange, error, failure_response(refused))
        return Attempt(Done(b"null"))

    async def _say_instead(
        self, exchange: Exchange, error: BaseException, response: HttpResponse
    ) -> Attempt:
        """Say what went wrong, unless the response has begun: then it is cut off."""
        if exchange.started:
            kind = type(error).__name__
            logger.warning("a response was cut off", function=exchange.action.path, error=kind)
        else:
            with suppress(ClientGone):
                await exchange.respond(response)
        return Attempt(Done(b"null"))

    def _action_context(self, auth: Auth, log: Log, run: RunFromAction) -> ActionCtx:
        clock, seed = ActionClock(self.now_ms), Seed(self.seed())
        return ActionCtx(auth, clock, log, self.env, seed, run, self.outgoing, self.threads)

    def _call(
        self, caller: Caller, budget: Budget, database: Database, now_ms: float, seed: Seed
    ) -> RunningCall:
        log, auth, clock = Log(self.limits), Auth(caller.identity), Clock(Instant(now_ms))
        parts = (caller, budget, log, auth, clock, seed, database)
        return RunningCall(self.app, self.limits.depth, self.env, *parts)

    def _run(
        self,
        call: RunningCall,
        path: str,
        args: JsonValue,
        kind: Kind,
        interrupt: Callable[[], None],
    ) -> Done | Refused:
        """Answer a call in time.

        Each nested leave() is there for one error that is thrown at its door: two may be on their
        way when the call ends, and none must reach the caller.
        """
        watch: Watched = self.deadlines.watch(self.limits, interrupt)
        answer: Done | Refused | None = None
        try:
            try:
                try:
                    watch.enter()
                    answer = self._answer(call, path, args, kind)
                finally:
                    watch.over = True  # Before any call: nothing new is thrown from here on.
                    watch.leave()
            except Interrupted:
                watch.over = True
                watch.leave()
        except Interrupted:
            watch.leave()
        finally:
            self.in_flight.end()
        if answer is not None:
            return answer
        self._end_read(call.database.reader)
        return self.refusal(self._out_of_time(path), path, call.log, call.caller)

    def _end_read(self, reader: Reader) -> None:
        """End what an interrupted call may have left open: the next read takes its place.

        An open statement would hold the snapshot, and in the writer fail the next checkpoint.
        """
        for table in self.app.schema.tables:
            try:
                reader.get(TableName(table), "")
            except InterruptedRead:  # The interrupt was still on its way.
                continue
            return

    def _answer(
        self, call: RunningCall, path: str, args: JsonValue, kind: Kind
    ) -> Done | Refused | None:
        """Run a function; None if it was interrupted."""
        try:
            function = self._find(path, kind, call.caller)
            contract = self.app.contracts[path]
            self.in_flight.begin(path, self._checked_size(path, args))
            value = call.enter(function, contract.arguments(args))
            encoded = self._sized(contract.result(value), path)
            return Done(encoded, tuple(call.log.lines))
        except (StorageError, NotCommitted, Interrupted, KeyboardInterrupt):
            raise
        except InterruptedRead:
            return None
        except RecursionError as error:
            limit = LimitExceeded(
                f"{path} calls itself too deep (limit: {sys.getrecursionlimit()} Python frames). "
                "Use a loop, or less depth."
            )
            limit = limit.with_traceback(error.__traceback__)
            return self.refusal(limit, path, call.log, call.caller)
        except BaseException as error:  # Even sys.exit() of an app ends its own call only.
            if (broken := broken_invariant(error)) is not None:
                raise broken from error
            return self.refusal(error, path, call.log, call.caller)

    def _find(self, path: str, kind: Kind, caller: Caller) -> Function[..., Any]:
        function = self.app.function(path, internal=caller.admin)
        if function.kind is not kind:
            raise WrongKind(
                f"Trying to execute {shown_path(path)} as {kind.value}, "
                f"but it is defined as {function.kind.value}."
            )
        return function

    def _checked_size(self, path: str, args: JsonValue) -> bytes:
        """Give the encoded arguments, if they are within the limit."""
        try:
            encoded = orjson.dumps(args)
        except orjson.JSONEncodeError as error:  # What is too deep, or no text.
            raise InvalidArguments(f"Invalid arguments for {shown_path(path)}: {error}") from None
        if len(encoded) > self.limits.arguments_bytes:
            raise InvalidArguments(
                f"Arguments for {shown_path(path)} are too large (actual: "
                f"{format_size(len(encoded))}, limit: {format_size(self.limits.arguments_bytes)})"
            )
        return encoded

    def _sized(self, encoded: bytes, path: str) -> bytes:
        if len(encoded) > self.limits.result_bytes:
            raise InvalidResult(
                f"The result of {shown_path(path)} is too large (actual: "
                f"{format_size(len(encoded))}, limit: {format_size(self.limits.result_bytes)})"
            )
        return encoded

    def _out_of_time(self, path: str) -> LimitExceeded:
        cpu, total = self.limits.cpu_seconds, self.limits.total_seconds
        return LimitExceeded(
            f"Function execution timed out: {path} may use {cpu} s of processor time, and take "
            f"{total} s in all. Do less in one call, or make it an action."
        )

    def refusal(
        self, error: BaseException, path: str, log: Log, caller: Caller = NOBODY
    ) -> Refused:
        """Turn an error into what the client is told."""
        # What becomes of a job no client is told: it stands in the job's record.
        redact = self.redact and caller.job is None
        lines = () if redact else tuple(log.lines)
        text = uncaught(error)
        # The same error of the same function has the same id: a re-run that fails again is equal.
        ident = hashlib.blake2b(f"{path}\n{text}".encode(), digest_size=8).hexdigest()
        head = f"[Request ID: {ident}] Server Error"
        log.failure = f"{head}\n{text if self.log_words else wordless(error)}"
        message = head if redact else f"{head}\n{text}"
        if not isinstance(error, FunctionError) and not self.log_words:
            # Its own words may quote arguments and documents: they go to the caller alone.
            kind, frames = type(error).__name__, app_frames(error.__traceback__)
            logger.warning(
                "function raised", function=path, request_id=ident, error=kind, at=frames
            )
        data: bytes | None = None
        if isinstance(error, AppError):
            try:
                data = encode(error.data)
            except InvalidValue as bad:
                worse = InvalidResult(f"the data of an AppError: {bad}")
                return self.refusal(worse, path, log, caller)
        refused = Refused(message, lines, data)
        self.on_refusal(refused, error)
        return refused
