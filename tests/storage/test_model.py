"""Random batches against plain dicts: what is refused leaves nothing, all else is kept whole."""

from collections.abc import Callable

import pytest
from attrs import define, field, frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flow_backend.errors import DocumentError
from flow_backend.storage.base import (
    Committed,
    Done,
    IndexBounds,
    Job,
    Refused,
    RequestKey,
    Savepoint,
    Snapshot,
    Transaction,
)
from flow_backend.values.timestamp import CommitTs
from flow_backend.values.value import JsonValue
from tests.storage.support import (
    START_NS,
    TASKS,
    TASKS_SPEC,
    Clock,
    MemoryEngine,
    add,
    change,
    contents,
    remove,
)

IDS = [f"id{number}" for number in range(6)]
Documents = dict[str, dict[str, JsonValue]]


class Broken(Exception):
    """What a bug in a runner would raise."""


@frozen
class Step:
    """One step of a mutation: a write, or the begin or the end of a nested part."""

    kind: str
    id: str
    rank: str
    key: str | None


@frozen
class Program:
    """A mutation: its steps, how it ends, and how it is known again."""

    steps: tuple[Step, ...]
    end: str
    request: RequestKey | None


steps = st.builds(
    Step,
    st.sampled_from(["add", "add", "change", "remove", "begin", "release", "undo"]),
    st.sampled_from(IDS),
    st.sampled_from("abc"),
    st.none() | st.sampled_from(["x", "y"]),
)
programs = st.builds(
    Program,
    st.lists(steps, max_size=6).map(tuple),
    st.sampled_from(["done", "done", "done", "refused"]),
    st.none() | st.builds(RequestKey, st.just("s"), st.integers(1, 4)),
)


@define
class Model:
    """What the documents should be: fields without the creation time, by id."""

    documents: Documents = field(factory=dict[str, dict[str, JsonValue]])
    saved: list[Documents] = field(factory=list[dict[str, dict[str, JsonValue]]])

    def apply(self, step: Step) -> bool:
        """Do a step; False if it must be refused."""
        documents = self.documents
        fields: dict[str, JsonValue] = {"rank": step.rank, "key": step.key}
        clash = step.key is not None and any(
            other["key"] == step.key for id, other in documents.items() if id != step.id
        )
        match step.kind:
            case "add":
                if step.id in documents or clash:
                    return False
                documents[step.id] = fields
            case "change":
                if step.id not in documents or clash:
                    return False
                documents[step.id] = fields
            case "remove":
                if step.id not in documents:
                    return False
                del documents[step.id]
            case "begin":
                self.saved.append(dict(documents))
            case "release" if self.saved:
                self.saved.pop()
            case "undo" if self.saved:
                self.documents = self.saved.pop()
            case _:
                pass
        return True


def perform(transaction: Transaction, step: Step, parts: list[Savepoint]) -> None:
    match step.kind:
        case "add":
            add(transaction, step.id, rank=step.rank, key=step.key)
        case "change":
            change(transaction, step.id, rank=step.rank, key=step.key)
        case "remove":
            remove(transaction, step.id)
        case "begin":
            parts.append(transaction.savepoint())
        case "release" if parts:
            parts.pop().release()
        case "undo" if parts:
            parts.pop().roll_back()
        case _:
            pass


def job_of(program: Program, model: Model | None) -> Job:
    """Make the job; with a model it checks each step against it."""

    def run(transaction: Transaction) -> Done | Refused:
        parts = list[Savepoint]()
        before = dict(model.documents) if model else {}
        for step in program.steps:
            fits = model.apply(step) if model else True
            try:
                perform(transaction, step, parts)
            except (DocumentError, AssertionError):
                assert not fits or not model, step
            else:
                assert fits, step
        while parts:
            parts.pop().release()
        if model:
            model.saved.clear()
            assert documents_of(transaction) == model.documents
        if program.end == "refused":
            if model:
                model.documents = before
            return Refused("no")
        return Done(repr(program.steps).encode())

    return Job(run, program.request)


def documents_of(reader: Transaction | Snapshot) -> Documents:
    found: Documents = {}
    for row in reader.scan(IndexBounds(TASKS, "by_board")):
        document = TASKS_SPEC.read(row[3])
        found[row[1]] = {"rank": document["rank"], "key": document["key"]}
    return found


class StorageMachine(RuleBasedStateMachine):
    """A database, a twin that is given only what succeeded, and the model."""

    @initialize()
    def start(self) -> None:
        self.clock = Clock()
        self.storage = MemoryEngine()(now_ns=self.clock)
        self.twin = MemoryEngine()(now_ns=self.clock)
        self.model = Model()
        self.snapshot = self.storage.open_snapshot()
        self.seen_at = self.snapshot.begin()
        self.seen: Documents = {}
        self.answers = dict[RequestKey, tuple[Done | Refused, CommitTs | None]]()

    @rule(batch=st.lists(programs, min_size=1, max_size=5))
    def commit(self, batch: list[Program]) -> None:
        before, last = dict(self.model.documents), self.storage.writer.last_ts

        committed = self.storage.writer.commit([job_of(one, self.model) for one in batch])

        outcomes = committed.outcomes
        for program, outcome in zip(batch, outcomes, strict=True):
            if program.request in self.answers:
                assert outcome.replayed
                assert (outcome.result, outcome.ts) == self.answers[program.request]
            else:
                assert not outcome.replayed
                if program.request and outcome.ts:
                    self.answers[program.request] = (outcome.result, outcome.ts)
        stamps = [o.ts for o in outcomes if o.ts is not None and not o.replayed]
        assert stamps == sorted(stamps)
        assert all(ts >= last for ts in stamps)
        after = self.model.documents
        gone, new = before.keys() - after.keys(), after.keys() - before.keys()
        writes = {write.id: write for write in committed.writes.get(TASKS, ())}
        assert {id for id, write in writes.items() if write.after is None} == gone
        assert {id for id, write in writes.items() if write.before is None} == new
        changed = {id for id in after.keys() & before.keys() if after[id] != before[id]}
        assert changed <= writes.keys()
        kept = [
            one
            for one, outcome in zip(batch, outcomes, strict=True)
            if not isinstance(outcome.result, Refused) and not outcome.replayed
        ]
        ran = tuple(o for o in outcomes if o.ts is not None and not o.replayed)
        alone = self.twin.writer.commit([job_of(one, None) for one in kept])
        assert alone == Committed(committed.ts, ran, committed.writes)

    @rule(batch=st.lists(programs, max_size=2))
    def fail(self, batch: list[Program]) -> None:
        """A bug ends the whole batch, whatever was done before it."""

        def fail(transaction: Transaction) -> Done:
            raise Broken

        with pytest.raises(Broken):
            self.storage.writer.commit([*(job_of(one, None) for one in batch), Job(fail)])

    @rule(seconds=st.sampled_from([-(10**7), -1, 0, 1, 10**4]))
    def set_clock(self, seconds: int) -> None:
        self.clock.ns = max(START_NS // 2, self.clock.ns + seconds * 10**9)

    @rule()
    def look_again(self) -> None:
        self.snapshot.end()
        self.seen_at = self.snapshot.begin()
        self.seen = dict(self.model.documents)

    @rule()
    def maintain(self) -> None:
        self.storage.writer.maintain()

    @invariant()
    def what_is_seen_is_of_one_timestamp(self) -> None:
        assert documents_of(self.snapshot) == self.seen
        assert self.seen_at <= self.storage.writer.last_ts

    @invariant()
    def what_succeeded_is_all_there_is(self) -> None:
        assert rows(self.storage.open_snapshot) == rows(self.twin.open_snapshot)

    def teardown(self) -> None:
        self.snapshot.close()
        self.storage.close()
        self.twin.close()


def rows(open_snapshot: Callable[[], Snapshot]) -> dict[str, bytes]:
    snapshot = open_snapshot()
    snapshot.begin()
    try:
        return contents(snapshot)
    finally:
        snapshot.close()


TestStorage = pytest.mark.slow(StorageMachine.TestCase)
TestStorage.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
