"""Flow's functions on a wall clock that the test moves, with their jobs run as they fall due."""

import itertools
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any, cast

import trio
from attrs import define

from flow_backend.functions.context import NOBODY, Caller
from flow_backend.functions.function import Function, Kind
from flow_backend.functions.jobs import JOBS, end_job, find_job
from flow_backend.functions.limits import Limits, ThreadDeadlines
from flow_backend.functions.outgoing import Outgoing
from flow_backend.functions.registry import App
from flow_backend.functions.runner import Runner
from flow_backend.storage.base import Done, Job, Refused, Storage, TableName, Transaction
from flow_backend.testing.prepared import prepare
from tests.flow.support import APP, value_of
from tests.flow.test_recurrence import at

_DEADLINES = ThreadDeadlines()


class Killed(Exception):
    """The server ends here."""


@define
class Timeline:
    """The app and its database, at ``now_ms`` on the wall.

    Attributes:
        ran: the paths of the jobs that were run.
        actions: those that are actions, with their arguments: :meth:`act` runs them.
        killed_after: of an action, how many of its calls are made before the server is killed.
    """

    storage: Storage
    runner: Runner
    clock: list[float]
    ran: list[str]
    actions: list[tuple[str, dict[str, Any]]]
    killed_after: int | None = None

    @property
    def now(self) -> float:
        return self.clock[0]

    def do(self, path: str, /, **arguments: object) -> Any:
        return self._mutate(path, arguments, NOBODY)

    def internal(self, path: str, /, **arguments: object) -> Any:
        return self._mutate(path, arguments, Caller(admin=True))

    def query(self, path: str, /, **arguments: object) -> Any:
        snapshot = self.storage.open_snapshot()
        snapshot.begin()
        try:
            caller = Caller(admin=True)
            return value_of(
                self.runner.query(path, cast("Any", arguments), caller, snapshot).result
            )
        finally:
            snapshot.end()
            snapshot.close()

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Give all rows of a table as they are stored, the oldest first."""
        snapshot = self.storage.open_snapshot()
        snapshot.begin()
        try:
            spec = APP.schema.tables[TableName(table)]
            found = [dict(spec.read(row[3])) for row in _scan(snapshot, table)]
        finally:
            snapshot.end()
            snapshot.close()
        return sorted(found, key=lambda row: row["_creationTime"])

    def pending(self) -> list[dict[str, Any]]:
        """Give the jobs that wait, in the order in which they fall due."""
        waiting = [row for row in self.rows(JOBS) if row["state"]["kind"] == "pending"]
        return sorted(waiting, key=lambda row: (row["due"], row["_creationTime"]))

    def jump(self, utc: str) -> None:
        """Set the clock, while the server is down: nothing is run."""
        self.clock[0] = at(utc)

    def catch_up(self) -> None:
        """Run what is due, in due order, until nothing is."""
        while (waiting := self.pending()) and waiting[0]["due"] <= self.now:
            self._run(waiting[0])

    def go(self, utc: str) -> None:
        """Let time pass with the server up: each job is run at its instant."""
        until = at(utc)
        while (waiting := self.pending()) and waiting[0]["due"] <= until:
            self.clock[0] = max(self.now, waiting[0]["due"])
            self._run(waiting[0])
        self.clock[0] = until

    async def act(self) -> None:
        """Run the actions that have begun, as the ActionActor does, and what they call."""
        while self.actions:
            path, arguments = self.actions.pop(0)
            calls = itertools.count()

            async def run(
                function: Function[..., Any],
                given: Mapping[str, object],
                calls: Iterator[int] = calls,
            ) -> Any:
                if next(calls) == self.killed_after:
                    raise Killed
                await trio.lowlevel.checkpoint()
                contract = self.runner.app.contracts[function.path]
                wire = cast("Any", contract.wire_arguments(given))
                if function.kind is Kind.QUERY:
                    return contract.decode_result(self._ask(function.path, wire))
                caller = Caller(admin=True)
                result = self._commit_raw(
                    lambda tx: self.runner.mutation(function.path, wire, caller, tx)
                )
                assert isinstance(result, Done), result
                return contract.decode_result(result.result)

            ended = await self.runner.action(path, cast("Any", arguments), Caller(admin=True), run)
            # What kills the server is no answer of the action's; here it looks like one.
            assert isinstance(ended, Done) or self.killed_after is not None, ended

    def _ask(self, path: str, wire: Any) -> bytes:
        snapshot = self.storage.open_snapshot()
        snapshot.begin()
        try:
            result = self.runner.query(path, wire, Caller(admin=True), snapshot).result
        finally:
            snapshot.end()
            snapshot.close()
        assert isinstance(result, Done), result
        return result.result

    def _run(self, job: Mapping[str, Any]) -> None:
        path, ident = job["name"], job["_id"]
        arguments = job["args"][0]
        self.ran.append(path)
        is_action = self.runner.app.app.functions[path].kind is Kind.ACTION
        if is_action:
            self.actions.append((path, arguments))

        def run(transaction: Transaction) -> Done | Refused:
            result: Done | Refused = Done(b"null")
            if not is_action:
                caller = Caller(admin=True)
                result = self.runner.mutation(path, arguments, caller, transaction)
            found = find_job(transaction, ident)
            assert found is not None, ident
            end_job(transaction, found, "success")
            return result

        self._commit(run)

    def _mutate(self, path: str, arguments: Mapping[str, object], caller: Caller) -> Any:
        return self._commit(
            lambda tx: self.runner.mutation(path, cast("Any", dict(arguments)), caller, tx)
        )

    def _commit(self, run: Any) -> Any:
        return value_of(self._commit_raw(run))

    def _commit_raw(self, run: Any) -> Done | Refused:
        return self.storage.writer.commit([Job(run)]).outcomes[0].result


def _scan(snapshot: Any, table: str) -> list[Any]:
    from flow_backend.schema.table import BY_CREATION_TIME
    from flow_backend.storage.base import IndexBounds

    return list(snapshot.scan(IndexBounds(TableName(table), BY_CREATION_TIME)))


@contextmanager
def open_timeline(utc: str, app: App = APP) -> Generator[Timeline]:
    clock = [at(utc)]
    prepared = prepare(app)
    storage = prepared.open_storage(lambda: int(clock[0] * 1e6))
    seeds = iter(range(1_000_000))
    runner = Runner(
        app=prepared.app.bind(
            {str(name): number for name, number in storage.table_numbers.items()}
        ),
        limits=Limits(),
        deadlines=_DEADLINES,
        now_ms=lambda: clock[0],
        seed=lambda: next(seeds),
        outgoing=Outgoing((ip_network("127.0.0.0/8"),)),
    )
    try:
        yield Timeline(storage, runner, clock, [], [])
    finally:
        storage.close()
