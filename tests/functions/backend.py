"""A small app and what runs it against the real storage, for the tests of functions."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field

from flow_backend.functions.context import NOBODY, Caller
from flow_backend.functions.function import Function
from flow_backend.functions.limits import Limits, ThreadDeadlines
from flow_backend.functions.registry import App, BoundApp, make_app
from flow_backend.functions.runner import QueryRun, Runner
from flow_backend.schema.document import Document, Id, document
from flow_backend.schema.index import Index
from flow_backend.storage.base import Done, Job, Outcome, Refused, Snapshot, Storage, Write
from flow_backend.storage.sqlite import open_memory_storage, open_storage
from flow_backend.values.encode import decode

START_NS = 1_800_000_000_000_000_000


@document("boards")
class Board(Document):
    name: str


@document("tasks")
class Task(Document):
    board: Id[Board]
    title: str
    rank: float = 0.0
    after: Id["Task"] | None = None
    labels: tuple[str, ...] = ()

    by_board = Index("board", "rank")
    by_title = Index("title")


@define
class Backend:
    """One app in one database. Nothing here waits, and the clock stands still."""

    app: App
    bound: BoundApp
    storage: Storage
    runner: Runner
    snapshot: Snapshot
    number: int = 0
    writes: list[tuple[str, Write]] = field(factory=list[tuple[str, Write]])

    def mutate(self, path: str, caller: Caller = NOBODY, **args: Any) -> Any:
        """Run a mutation and give its decoded result; fail if it is refused."""
        outcome = self.attempt(path, caller, **args)
        assert isinstance(outcome.result, Done), outcome.result
        return decode(outcome.result.result)

    def attempt(self, path: str, caller: Caller = NOBODY, **args: Any) -> Outcome:
        """Run a mutation and give what became of it; ``writes`` says what it wrote."""
        committed = self.storage.writer.commit(
            [
                Job(
                    lambda transaction: self.runner.mutation(
                        path, args, caller, transaction, self.storage.writer.interrupt
                    )
                )
            ]
        )
        self.writes = [(name, each) for name, rows in committed.writes.items() for each in rows]
        return committed.outcomes[0]

    def refused(self, path: str, caller: Caller = NOBODY, **args: Any) -> Refused:
        result = self.attempt(path, caller, **args).result
        assert isinstance(result, Refused), result
        return result

    def run(
        self, path: str, caller: Caller = NOBODY, journal: str | None = None, **args: Any
    ) -> QueryRun:
        """Run a query at the newest timestamp."""
        self.snapshot.begin()
        try:
            return self.runner.query(
                path, args, caller, self.snapshot, journal, self.snapshot.interrupt
            )
        finally:
            self.snapshot.end()

    def query(self, path: str, caller: Caller = NOBODY, **args: Any) -> Any:
        result = self.run(path, caller, **args).result
        assert isinstance(result, Done), result
        return decode(result.result)

    def refused_query(self, path: str, caller: Caller = NOBODY, **args: Any) -> Refused:
        result = self.run(path, caller, **args).result
        assert isinstance(result, Refused), result
        return result

    def close(self) -> None:
        self.snapshot.close()
        self.storage.close()


Open = Callable[..., Backend]


def open_backend(
    functions: Mapping[str, Function[..., Any]],
    documents: Sequence[type[Document]] = (Board, Task),
    limits: Limits | None = None,
    deadlines: ThreadDeadlines | None = None,
    *,
    redact: bool = False,
    directory: Path | None = None,
) -> Backend:
    app = make_app("test", documents, functions)
    specs = list(app.schema.tables.values())
    storage = (
        open_memory_storage(specs, now_ns=lambda: START_NS)
        if directory is None
        else open_storage(directory, specs, now_ns=lambda: START_NS)
    )
    bound = app.bind({str(name): n for name, n in storage.table_numbers.items()})
    runner = Runner(
        app=bound,
        limits=limits or Limits(),
        deadlines=deadlines or DEADLINES,
        now_ms=lambda: START_NS / 1e6,
        seed=count().__next__,
        redact=redact,
        env={"COLOUR": "blue"},
    )
    return Backend(app, bound, storage, runner, storage.open_snapshot())


DEADLINES = ThreadDeadlines()
"""Shared: each has a thread that never ends."""


def said(refused: Refused) -> str:
    """Give a refusal's text without its first line, which is the same for all."""
    first, _, rest = refused.message.partition("\n")
    assert first.startswith("[Request ID: "), first
    assert first.endswith("] Server Error"), first
    return rest
