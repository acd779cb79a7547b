"""A call while it runs: the functions that it calls in its own transaction."""

from collections.abc import Mapping
from typing import Any

from attrs import define

from flow_backend.errors import InvalidCall, LimitExceeded
from flow_backend.functions.budget import Budget
from flow_backend.functions.clock import Clock
from flow_backend.functions.context import Auth, Caller, Log, MutationCtx, QueryCtx
from flow_backend.functions.database import Database, WritableDatabase
from flow_backend.functions.function import Function, Kind
from flow_backend.functions.registry import BoundApp
from flow_backend.functions.seed import Seed


@define
class RunningCall:
    """One call from outside and all that is nested in it."""

    app: BoundApp
    depth_max: int
    env: Mapping[str, str]
    caller: Caller
    budget: Budget
    log: Log
    auth: Auth
    clock: Clock
    seed: Seed
    database: Database
    depth: int = 0
    kind: Kind = Kind.QUERY

    def nested(self, function: Function[..., Any], arguments: Mapping[str, object]) -> Any:
        """Run a function in this call's transaction."""
        inside, wanted = self.kind, function.kind
        if wanted is Kind.ACTION or (inside is Kind.QUERY and wanted is Kind.MUTATION):
            raise InvalidCall(
                f"Cannot call a {wanted.value.lower()} function from a "
                f"{inside.value.lower()} function ({function.path})"
            )
        contract = self.app.contracts.get(function.path)
        if contract is None:
            raise InvalidCall(f"{function!r} is no function of this app: it stands in no module")
        taken = contract.arguments(contract.wire_arguments(arguments))
        if wanted is not Kind.MUTATION:
            return self.enter(function, taken)
        assert isinstance(self.database, WritableDatabase), function.path
        savepoint = self.database.transaction.savepoint()
        try:
            value = self.enter(function, taken)
        except BaseException:  # Whatever it raises, the caller may catch it and go on.
            savepoint.roll_back()
            raise
        savepoint.release()
        return value

    def enter(self, function: Function[..., Any], arguments: Mapping[str, object]) -> Any:
        """Run the function itself; what a nested one returns is checked by its annotation."""
        most = self.depth_max
        if self.depth >= most:
            raise LimitExceeded(
                f"Functions call each other more than {most} deep, which is the limit "
                f"({function.path}). Call a plain Python function instead."
            )
        outside = self.kind
        self.depth += 1
        self.kind = function.kind
        try:
            value = function.call(self._context(function.kind), **arguments)
            if self.depth > 1:
                self.app.contracts[function.path].result(value)
            return value
        finally:
            self.depth -= 1
            self.kind = outside

    def _context(self, kind: Kind) -> QueryCtx | MutationCtx:
        parts = (self.auth, self.clock, self.log, self.env, self.seed, self.nested)
        database = self.database
        if isinstance(database, WritableDatabase):
            if kind is Kind.MUTATION:
                return MutationCtx(database, *parts, self.caller.job)
            # A query inside a mutation sees what was written, and cannot write.
            database = Database(
                database.app, database.reader, database.budget, None, database.pages
            )
        return QueryCtx(database, *parts)
