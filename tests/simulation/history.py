"""What was committed, seen from outside the server: a tap between it and its storage."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import orjson
from attrs import define, field

from flow_backend.schema.table import TableSpec
from flow_backend.storage.base import (
    IndexBounds,
    Snapshot,
    Storage,
    TableName,
    Writer,
)
from flow_backend.testing.client import OpenQuery, QueryOutcome, SimClient
from flow_backend.values.timestamp import NO_COMMIT, CommitTs
from tests.simulation.app import PAGE, PASSED, Row, Tables, expected, wrong_page

_NOTICED_MS = 1500.0


@define
class History:
    """The whole state at each timestamp at which anybody could have read it.

    It outlives the server: what one life has committed, the next must still have.

    Attributes:
        broken: what was wrong with a commit.
        latest_ms: the latest that the wall clock has ever shown.
        settled_ms: what it shows, if it has not been set for a while: each query knows of it then.
        look_at_jobs: is given each state too, as is ``look_at_versions``.
        disk_failed: whether reads are made to fail, so that a query may say that its own did.
    """

    states: dict[CommitTs, Tables] = field(factory=dict[CommitTs, Tables])
    newest_ts: CommitTs = NO_COMMIT
    broken: list[str] = field(factory=list[str])
    disk_failed: bool = False
    latest_ms: Callable[[], float] = lambda: 0.0
    settled_ms: float | None = None
    look_at_jobs: Callable[[Tables], None] = lambda _: None
    look_at_versions: Callable[[Tables], None] = lambda _: None

    def add(self, ts: CommitTs, tables: Tables) -> None:
        """Note a state. What is wrong is kept: raised here, the server would mend itself."""
        try:
            self._add(ts, tables)
        except AssertionError as error:
            self.broken.append(str(error))

    def hold(self) -> None:
        """Check that nothing was wrong with what was committed."""
        assert not self.broken, self.broken

    def _add(self, ts: CommitTs, tables: Tables) -> None:
        assert ts >= self.newest_ts, (
            f"what was committed at {self.newest_ts} is gone: the newest is of {ts}"
        )
        if self.states:
            # Nothing is ever deleted from it: who has seen a row of it will always see it.
            before = [row["token"] for row in self.newest["applied"]]
            after = [row["token"] for row in tables["applied"]]
            assert after[: len(before)] == before, f"at {ts} is gone what was there: {before}"
        self.look_at_jobs(tables)
        self.look_at_versions(tables)
        known = self.states.setdefault(ts, tables)
        assert known == tables, f"the state at {ts} has changed"
        self.newest_ts = ts
        total = sum(
            float(str(row["amount"])) for name in ("lefts", "rights") for row in tables[name]
        )
        assert total == 0, f"the two tables sum to {total} at {ts}"

    @property
    def newest(self) -> Tables:
        return self.states[self.newest_ts]

    def check(self, client: SimClient, tables: Tables | None = None) -> None:
        """Check all that a client shows against the state at its timestamp, or a given one."""
        self.hold()
        ts, who = client.version.ts, client.shown_token
        if ts == NO_COMMIT:
            return  # A new connection on which nothing was asked for yet.
        tables = tables or self.states.get(ts)
        assert tables is not None, f"{client.name} was brought to {ts}, at which nothing committed"
        for query_id, query in client.queries.items():
            if query.version > client.version.query_set:
                continue
            shown = client.results.get(query_id)
            if (
                self.disk_failed
                and shown is not None
                and "the data could not be read" in str(shown.value)
            ):
                continue  # It says so, and is run again with the next commit that it reads.
            if query.path == PASSED:
                self._check_clock(client, query, shown)
                continue
            if query.path == PAGE:
                wrong = wrong_page(tables, query.args, shown)
                assert wrong is None, f"{client.name} at {ts} for {query.args}: {wrong}"
                continue
            right = outcome(tables, query, who)
            assert shown == right, (
                f"{client.name} at {ts} shows {shown} for query {query_id}, "
                f"{query.path} {query.args} as {who}; right is {right}"
            )

    def _check_clock(self, client: SimClient, query: OpenQuery, shown: QueryOutcome | None) -> None:
        """F9: none says that an instant has passed that has not, and when all is calm each knows.

        Source: the guarantees, F9.
        """
        instant = float(str(query.args["instant"]))
        told = f"{client.name} is shown {shown} for {instant}"
        assert shown is not None, told
        assert not shown.failed, told
        if shown.value:
            assert instant <= self.latest_ms(), f"{told}, the clock never showed it"
        if self.settled_ms is not None and abs(self.settled_ms - instant) > _NOTICED_MS:
            assert shown.value == (self.settled_ms >= instant), f"{told}, it is {self.settled_ms}"


def outcome(tables: Tables, query: OpenQuery, who: str | None) -> QueryOutcome:
    return expected(tables, query.path, query.args, who)


class TappedWriter:
    """Stands for a Writer: the real one, and ``look`` after whatever puts something on disk."""

    def __init__(self, inner: Writer, look: Callable[[], None]) -> None:
        self._inner = inner
        self._look = look

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in {"commit", "finish", "mark_past", "switch"}:
            return found

        def tapped(*args: Any) -> Any:
            committed = found(*args)
            self._look()
            return committed

        return tapped


class TappedStorage:
    """Implements Storage: the real one, and a copy of each committed state goes to the history."""

    def __init__(
        self,
        inner: Storage,
        history: History,
        quietly: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._inner = inner
        self._quietly = quietly
        self._history = history
        with quietly():
            self._snapshot = inner.open_snapshot()
        self.file = None  # So that no other process looks at it.
        self.troubles = inner.troubles
        self.writer = cast("Writer", TappedWriter(inner.writer, self.look))
        self.is_alive = True
        self.look()

    def look(self) -> None:
        """Copy the newest state; of a server that was killed nothing counts any more."""
        if not self.is_alive:
            return
        with self._quietly():
            ts = self._snapshot.begin()
            self._history.add(ts, {name: self._rows(name) for name in self.tables})
            self._snapshot.end()

    def _rows(self, name: TableName) -> list[Row]:
        return [orjson.loads(row[3]) for row in self._snapshot.scan(IndexBounds(name))]

    @property
    def tables(self) -> Mapping[TableName, TableSpec]:
        return self._inner.tables

    @property
    def table_numbers(self) -> Mapping[TableName, int]:
        return self._inner.table_numbers

    def open_snapshot(self) -> Snapshot:
        return self._inner.open_snapshot()

    def close(self) -> None:
        self._snapshot.close()
        self._inner.close()
