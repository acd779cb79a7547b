"""A3, A4: what a failed mutation leaves (nothing), and what gets into a call unseen (nothing)."""

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

import orjson
import pytest

from flow_backend import AppError, Document, Index, MutationCtx, QueryCtx, document, mutation, query
from flow_backend.functions.context import NOBODY
from flow_backend.functions.limits import Limits
from flow_backend.functions.registry import make_app
from flow_backend.functions.runner import Runner
from flow_backend.storage.base import (
    Committed,
    Done,
    IndexBounds,
    InterruptedRead,
    Job,
    Refused,
    RequestKey,
    TableName,
)
from flow_backend.storage.sqlite import open_memory_storage
from flow_backend.testing.sim import NoDeadlines, StoppedWatch
from tests.effort import SEED, cases

START_NS = 1_800_000_000_000_000_000
WRITES_MAX = 12
FAILURES = ("AppError", "ValueError", "SystemExit", "limit", "duplicate", "interrupt", "result")


@document("marks")
class Mark(Document):
    name: str
    count: int
    by_name = Index("name", unique=True)


class Stopped(BaseException):
    """What no app should catch; one does."""


@mutation
def change(ctx: MutationCtx, names: list[str], drawn: int, fails: str | None) -> list[str]:
    """Count names up, delete what has come to three, draw at random; then maybe fail."""
    said = [f"{ctx.clock.now()} {ctx.random.random()} {ctx.env['COLOUR']}"]
    for name in names:
        mark = ctx.db.scan(Mark.by_name[name]).unique()
        if mark is None:
            said.append(ctx.db.insert(Mark(name=name, count=1)))
        elif mark.count == 3:
            ctx.db.delete(mark.id)
        else:
            ctx.db.patch(mark.id, count=mark.count + 1)
    said += [str(ctx.random.randrange(100)) for _ in range(drawn)]
    match fails:
        case "AppError":
            raise AppError({"names": names})
        case "ValueError":
            raise ValueError(names)
        case "SystemExit":
            raise SystemExit(1)
        case "limit":
            for number in range(WRITES_MAX + 1):
                ctx.db.insert(Mark(name=f"{number} too many", count=0))
        case "duplicate":
            ctx.db.insert(Mark(name="twice", count=1))
            ctx.db.insert(Mark(name="twice", count=1))
        case "interrupt":
            raise InterruptedRead
        case "result":
            return 7  # type: ignore[return-value]
        case _:
            pass
    return said


@mutation
def around(ctx: MutationCtx, name: str) -> str:
    """Catch all that a nested mutation raises, and go on."""
    try:
        ctx.run(nested, name=name)
    except BaseException as error:
        ctx.db.insert(Mark(name=f"{name} caught", count=1))
        return type(error).__name__
    return ""


@mutation
def nested(ctx: MutationCtx, name: str) -> None:
    ctx.db.insert(Mark(name=name, count=1))
    raise {"exit": SystemExit, "stop": Stopped}.get(name, ValueError)


@query
def see(ctx: QueryCtx, low: str | None) -> list[str]:
    marks = ctx.db.scan(Mark.by_name[low:] if low else Mark)
    ctx.log.info("seen", ctx.random.random())
    return [
        f"{ctx.clock.now()} {ctx.random.random()} {ctx.env['COLOUR']}",
        *(m.name for m in marks),
    ]


class Machine:
    """One database, and a runner whose seeds are told."""

    def __init__(self) -> None:
        functions = {"m:change": change, "m:around": around, "m:nested": nested, "m:see": see}
        app = make_app("test", [Mark], functions)
        self.now_ns = START_NS
        tables = list(app.schema.tables.values())
        self.storage = open_memory_storage(tables, now_ns=lambda: self.now_ns)
        self.seed = 0
        self.runner = Runner(
            app=app.bind({str(name): n for name, n in self.storage.table_numbers.items()}),
            limits=Limits(documents_written=WRITES_MAX),
            deadlines=NoDeadlines(),
            now_ms=lambda: self.now_ns / 1e6,
            seed=lambda: self.seed,
            env={"COLOUR": "blue"},
            stopwatch=StoppedWatch,
        )
        self.snapshot = self.storage.open_snapshot()

    def commit(self, calls: list[tuple[int, str, dict[str, Any]]]) -> Committed:
        """Run mutations as one batch, each with its seed."""

        def job(seed: int, path: str, args: dict[str, Any]) -> Job:
            def run(transaction: Any) -> Done | Refused:
                self.seed = seed
                return self.runner.mutation(path, args, NOBODY, transaction)

            return Job(run, RequestKey("session", seed))

        return self.storage.writer.commit([job(*call) for call in calls])

    def rows(self) -> list[Any]:
        self.snapshot.begin()
        try:
            return list(self.snapshot.scan(IndexBounds(TableName("marks"))))
        finally:
            self.snapshot.end()

    def close(self) -> None:
        self.snapshot.close()
        self.storage.close()


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    both = Machine(), Machine()
    yield both
    for each in both:
        each.close()


@pytest.mark.slow
def test_a3_a_batch_with_failures_is_the_batch_without_them(
    machines: tuple[Machine, Machine],
) -> None:
    """Rows, row numbers, ids, creation times, timestamps, answers and writes: all are the same."""
    machine, twin = machines
    random, numbers = Random(SEED), count(1)
    for batch in range(cases(2000)):
        machine.now_ns += random.choice((0, 0, 10**9))
        twin.now_ns = machine.now_ns
        calls = list[tuple[int, str, dict[str, Any]]]()
        for _ in range(random.randrange(1, 6)):
            args = {
                "names": [random.choice("abcdef") for _ in range(random.randrange(4))],
                "drawn": float(random.randrange(3)),
                "fails": random.choice((None, None, *FAILURES)),
            }
            calls.append((next(numbers), "m:change", args))

        both = machine.commit(calls)
        alone = twin.commit([call for call in calls if call[2]["fails"] is None])

        for call, outcome in zip(calls, both.outcomes, strict=True):
            assert isinstance(outcome.result, Done) == (call[2]["fails"] is None), (batch, call)
            assert call[2]["fails"] is None or outcome.ts is None
        kept = tuple(each for each in both.outcomes if isinstance(each.result, Done))
        assert Committed(both.ts, kept, both.writes) == alone, batch
        assert machine.rows() == twin.rows(), batch


@pytest.mark.parametrize("name", ["value", "exit", "stop"])
def test_a3_a_nested_mutation_takes_back_its_writes_whatever_it_raises(
    machines: tuple[Machine, Machine], name: str
) -> None:
    """Also SystemExit, and what is no Exception at all, if the caller goes on after it."""
    machine, _ = machines

    [outcome] = machine.commit([(1, "m:around", {"name": name})]).outcomes

    assert isinstance(outcome.result, Done), outcome
    assert [orjson.loads(row[3])["name"] for row in machine.rows()] == [f"{name} caught"]


@pytest.mark.slow
def test_a4_a_call_run_twice_gives_equal_bytes(machines: tuple[Machine, Machine]) -> None:
    """Time, randomness and settings stand still within a call, and all of it follows from them."""
    machine, twin = machines
    random = Random(SEED)
    for number in range(cases(500)):
        machine.now_ns += 10**6
        twin.now_ns = machine.now_ns
        names = [random.choice("abcdef") for _ in range(random.randrange(4))]
        fails = random.choice((None, None, *FAILURES))
        args = {"names": names, "drawn": 2.0, "fails": fails}
        call = (number, "m:change", args)

        assert machine.commit([call]) == twin.commit([call])

        machine.snapshot.begin()
        asked: dict[str, Any] = {"low": random.choice((None, "b", "d"))}
        runs = [machine.runner.query("m:see", asked, NOBODY, machine.snapshot) for _ in range(2)]
        machine.snapshot.end()
        assert isinstance(runs[0].result, Done)
        assert runs[0] == runs[1]
