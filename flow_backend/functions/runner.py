"""Runs functions: finds them, checks their arguments, and turns how they end into a value."""

import hashlib
import random
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import structlog
from attrs import define, field, frozen

from flow_backend.errors import (
    AppError,
    FlowError,
    FunctionError,
    InvalidCall,
    InvalidResult,
    InvalidValue,
    LimitExceeded,
    NotCommitted,
    StorageError,
    WrongKind,
)
from flow_backend.functions.context import (
    ActionCtx,
    Auth,
    Caller,
    Clock,
    Log,
    MutationCtx,
    QueryCtx,
    RunFromAction,
)
from flow_backend.functions.database import Database, Pages, Reads, WritableDatabase
from flow_backend.functions.function import Function, Kind
from flow_backend.functions.limits import Budget, Deadlines, Interrupted, Limits
from flow_backend.functions.read_set import ReadSet
from flow_backend.functions.registry import BoundApp
from flow_backend.schema.document import Instant
from flow_backend.storage.base import Done, InterruptedRead, Reader, Refused, Transaction
from flow_backend.values.encode import encode
from flow_backend.values.value import JsonValue

T = TypeVar("T")
logger: Final = structlog.get_logger()

_OWN_FILES: Final = ("flow_backend/functions", "flow_backend\\functions")


@frozen
class QueryRun:
    """How one run of a query ended, and what it depends on.

    ``looked_at_identity`` says that the result is true for this identity only.
    """

    result: Done | Refused
    read_set: ReadSet
    journal: str | None
    looked_at_identity: bool
    seconds: float


@define
class _Call:
    """One call from outside and all that is nested in it."""

    runner: "Runner"
    caller: Caller
    budget: Budget
    log: Log
    auth: Auth
    clock: Clock
    random: random.Random
    database: Database
    depth: int = 0
    kinds: list[Kind] = field(factory=list[Kind])

    def nested(self, function: Function[..., Any], arguments: Mapping[str, object]) -> Any:
        """Run a function in this call's transaction."""
        inside, wanted = self.kinds[-1], function.kind
        if wanted is Kind.ACTION or (inside is Kind.QUERY and wanted is Kind.MUTATION):
            raise InvalidCall(
                f"Cannot call a {wanted.value.lower()} function from a "
                f"{inside.value.lower()} function ({function.path})"
            )
        if self.depth >= self.runner.limits.depth:
            raise InvalidCall(
                f"calls are nested more than {self.runner.limits.depth} deep ({function.path})"
            )
        contract = self.runner.app.contracts[function.path]
        taken = contract.arguments(contract.wire_arguments(arguments))
        if wanted is not Kind.MUTATION:
            return self.enter(function, taken)
        assert isinstance(self.database, WritableDatabase), function.path
        savepoint = self.database.transaction.savepoint()
        try:
            value = self.enter(function, taken)
        except Exception:
            savepoint.roll_back()
            raise
        savepoint.release()
        return value

    def enter(self, function: Function[..., Any], arguments: Mapping[str, object]) -> Any:
        """Run the function itself; what it returns is checked by its annotation."""
        self.depth += 1
        self.kinds.append(function.kind)
        try:
            value = function.call(self._context(function.kind), **arguments)
            if self.depth > 1:
                self.runner.app.contracts[function.path].result(value)
            return value
        finally:
            self.depth -= 1
            self.kinds.pop()

    def _context(self, kind: Kind) -> QueryCtx | MutationCtx:
        parts = (self.auth, self.clock, self.random, self.log, self.runner.env, self.nested)
        if kind is Kind.MUTATION:
            assert isinstance(self.database, WritableDatabase)
            return MutationCtx(self.database, *parts)
        if isinstance(self.database, WritableDatabase):
            # A query inside a mutation sees what was written, and cannot write.
            db = self.database
            return QueryCtx(Database(db.app, db.reader, db.budget, None, db.pages), *parts)
        return QueryCtx(self.database, *parts)


@define(kw_only=True)
class Runner:
    """Runs the functions of one app.

    It holds no state of a call: one runner serves all threads.
    """

    app: BoundApp
    limits: Limits
    deadlines: Deadlines
    now_ms: Callable[[], float]
    seed: Callable[[], int]
    env: Mapping[str, str] = field(factory=dict[str, str])
    redact: bool = False

    def query(
        self,
        path: str,
        args: JsonValue,
        caller: Caller,
        reader: Reader,
        journal: str | None = None,
        interrupt: Callable[[], None] = lambda: None,
    ) -> QueryRun:
        """Run a query at the reader's timestamp."""
        started = time.perf_counter()
        reads = Reads()
        pages = Pages(journal)
        budget = Budget(self.limits)
        database = Database(self.app, reader, budget, reads, pages)
        call = self._call(caller, budget, database, self.now_ms())
        result = self._run(call, path, args, Kind.QUERY, interrupt)
        return QueryRun(
            result,
            reads.read_set(),
            pages.journal if pages.used else None,
            call.auth.looked,
            time.perf_counter() - started,
        )

    def mutation(
        self,
        path: str,
        args: JsonValue,
        caller: Caller,
        transaction: Transaction,
        interrupt: Callable[[], None] = lambda: None,
    ) -> Done | Refused:
        """Run a mutation in a transaction. If it is refused, the caller takes back its writes."""
        budget = Budget(self.limits)
        seeded = random.Random(self.seed())
        database = WritableDatabase(
            self.app, transaction, budget, None, transaction=transaction, random=seeded
        )
        call = self._call(caller, budget, database, transaction.now_ms, seeded)
        return self._run(call, path, args, Kind.MUTATION, interrupt)

    async def action(
        self, path: str, args: JsonValue, caller: Caller, run: RunFromAction
    ) -> Done | Refused:
        """Run an action. It is cancelled from outside, if at all."""
        log = Log(self.limits)
        try:
            function = self._find(path, Kind.ACTION, caller)
            contract = self.app.contracts[path]
            taken = contract.arguments(args)
            ctx = ActionCtx(
                Auth(caller.identity),
                Clock(Instant(self.now_ms())),
                random.Random(self.seed()),
                log,
                self.env,
                run,
            )
            value = await function.call(ctx, **taken)
            return Done(self._sized(contract.result(value), path), tuple(log.lines))
        except Exception as error:  # All that app code raises is its answer.
            return self.refusal(error, path, log)

    def _call(
        self,
        caller: Caller,
        budget: Budget,
        database: Database,
        now_ms: float,
        seeded: random.Random | None = None,
    ) -> _Call:
        return _Call(
            self,
            caller,
            budget,
            Log(self.limits),
            Auth(caller.identity),
            Clock(Instant(now_ms)),
            seeded or random.Random(self.seed()),
            database,
        )

    def _run(
        self,
        call: _Call,
        path: str,
        args: JsonValue,
        kind: Kind,
        interrupt: Callable[[], None],
    ) -> Done | Refused:
        try:
            with self.deadlines.watch(self.limits, interrupt):
                function = self._find(path, kind, call.caller)
                contract = self.app.contracts[path]
                value = call.enter(function, contract.arguments(args))
                encoded = contract.result(value)
            return Done(self._sized(encoded, path), tuple(call.log.lines))
        except (StorageError, NotCommitted):
            raise
        except (Interrupted, InterruptedRead):
            return self.refusal(self._out_of_time(path), path, call.log)
        except (Exception, RecursionError) as error:
            return self.refusal(error, path, call.log)

    def _find(self, path: str, kind: Kind, caller: Caller) -> Function[..., Any]:
        function = self.app.function(path, internal=caller.admin)
        if function.kind is not kind:
            module, _, name = path.rpartition(":")
            raise WrongKind(
                f"Trying to execute {module}.js:{name} as {kind.value}, "
                f"but it is defined as {function.kind.value}."
            )
        return function

    def _sized(self, encoded: bytes, path: str) -> bytes:
        if len(encoded) > self.limits.result_bytes:
            raise InvalidResult(
                f"The result of {path} is too large "
                f"(actual: {len(encoded)} bytes, limit: {self.limits.result_bytes} bytes)"
            )
        return encoded

    def _out_of_time(self, path: str) -> LimitExceeded:
        cpu, total = self.limits.cpu_seconds, self.limits.total_seconds
        return LimitExceeded(
            f"Function execution timed out: {path} may use {cpu} s of processor time, and take "
            f"{total} s in all. Do less in one call, or make it an action."
        )

    def refusal(self, error: BaseException, path: str, log: Log) -> Refused:
        """Turn an error into what the client is told."""
        lines = () if self.redact else tuple(log.lines)
        text = _uncaught(error)
        # The same error of the same function has the same id: a re-run that fails again is equal.
        ident = hashlib.blake2b(f"{path}\n{text}".encode(), digest_size=8).hexdigest()
        head = f"[Request ID: {ident}] Server Error"
        message = head if self.redact else f"{head}\n{text}"
        if not isinstance(error, FunctionError):
            logger.warning("function raised", function=path, request_id=ident, error=text)
        if isinstance(error, AppError):
            try:
                return Refused(message, lines, encode(error.data))
            except InvalidValue as bad:
                return self.refusal(InvalidResult(f"the data of an AppError: {bad}"), path, log)
        return Refused(message, lines)


def _uncaught(error: BaseException) -> str:
    """Print an error as the client's console shows it, with the app's own lines of the stack."""
    if isinstance(error, FlowError) and not isinstance(error, AppError):
        return str(error)
    kind = "ConvexError" if isinstance(error, AppError) else type(error).__name__
    lines = [f"Uncaught {kind}: {error}"]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        name = frame.filename.replace("\\", "/")
        if not any(part in name for part in _OWN_FILES):
            short = "/".join(name.split("/")[-2:])
            lines.append(f"    at {frame.name} ({short}:{frame.lineno})")
    return "\n".join(lines[:12])
