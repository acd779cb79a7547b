"""The chain from a commit to the live queries that it meets, run step by step against the model."""

from collections.abc import Iterator
from itertools import count, islice
from random import Random
from typing import Any

from attrs import define, evolve, field, frozen

from flow_backend.actors.mailbox import Mailbox
from flow_backend.actors.messages.calls import LiveQueryId
from flow_backend.actors.messages.to_query import Invalidated
from flow_backend.actors.messages.to_table import Subscribe, TableMessage, TableWrites, Unsubscribe
from flow_backend.actors.table import RecentWrites, TableActor
from flow_backend.functions.context import NOBODY
from flow_backend.functions.limits import Limits
from flow_backend.functions.read_set import ReadRange
from flow_backend.functions.registry import make_app
from flow_backend.functions.runner import QueryRun, Runner
from flow_backend.storage.base import (
    Done,
    IndexBounds,
    InterruptedRead,
    Job,
    Refused,
    StoredRow,
    TableName,
    Write,
)
from flow_backend.storage.keys import bounds_range
from flow_backend.storage.sqlite import open_memory_storage
from flow_backend.testing.sim import NoDeadlines, StoppedWatch
from flow_backend.values.encode import decode, to_wire
from flow_backend.values.timestamp import CommitTs
from tests.histories.shelf import (
    DESK,
    FUNCTIONS,
    Answer,
    Key,
    Model,
    Naive,
    Op,
    Plan,
    Program,
    Thing,
    random_plan,
    random_program,
)

START_NS = 1_800_000_000_000_000_000
THINGS = TableName("things")
ROWS_READ_MAX = 9


class Missed(AssertionError):
    """A commit has changed what a live query says, or should have met it, and did not."""


class FalseAlarm(AssertionError):
    """A commit has met a live query that had consumed none of the rows it wrote."""


class WrongAnswer(AssertionError):
    """A query says something else than the model."""


class Ignored:
    """Takes what the table would tell: the chain asks its handler itself."""

    def put(self, message: Invalidated) -> None:
        del message


@define
class Engine:
    """One database with the app of the shelf; worlds follow one another in it."""

    now_ns: int = START_NS
    storage: Any = None
    runner: Any = None
    snapshot: Any = None

    def open(self) -> None:
        app = make_app("test", [Thing], FUNCTIONS)
        tables = list(app.schema.tables.values())
        self.storage = open_memory_storage(tables, now_ns=lambda: self.now_ns)
        self.runner = Runner(
            app=app.bind({str(name): n for name, n in self.storage.table_numbers.items()}),
            limits=Limits(documents_read=ROWS_READ_MAX),
            deadlines=NoDeadlines(),
            now_ms=lambda: self.now_ns / 1e6,
            seed=count().__next__,
            stopwatch=StoppedWatch,
        )
        self.snapshot = self.storage.open_snapshot()

    def close(self) -> None:
        """Close what was opened."""
        for each in (self.snapshot, self.storage):
            if each is not None:
                each.close()

    def query(self, plan: Plan, journal: str | None) -> QueryRun:
        """Run a plan on the snapshot that is open."""
        DESK.plan = plan
        run: QueryRun = self.runner.query("t:read", {}, NOBODY, self.snapshot, journal)
        return run

    def commit(self, programs: list[Program]) -> tuple[Any, ...]:
        """Run mutations as one batch. Returns: their outcomes, the timestamp, what was written."""

        def job(program: Program) -> Job:
            def run(transaction: Any) -> Done | Refused:
                DESK.program = program
                done: Done | Refused = self.runner.mutation("t:write", {}, NOBODY, transaction)
                return done

            return Job(run)

        committed = self.storage.writer.commit([job(program) for program in programs])
        return committed.outcomes, committed.ts, committed.writes.get(THINGS, ())

    def check_log(self) -> None:
        """See that the commit log has each row once for each commit."""
        log = self.storage.writer._connection
        twice = log.execute("SELECT ts, id FROM _commit_log GROUP BY ts, id HAVING count(*) > 1")
        if rows := twice.fetchall():
            raise WrongAnswer(f"the commit log has rows twice: {rows}")

    def clear(self) -> None:
        """Delete everything: the next world begins."""
        while rows := self._ids():
            for place, ident in enumerate(rows):
                DESK.ids[-1 - place] = ident
            ops = tuple(Op("delete", -1 - place) for place in range(len(rows)))
            outcomes, _, _ = self.commit([Program(ops[:8])])
            assert isinstance(outcomes[0].result, Done), outcomes
        DESK.ids.clear()

    def _ids(self) -> list[str]:
        self.snapshot.begin()
        try:
            run = self.query(Plan("by_creation_time", end="take", count=8), None)
            assert isinstance(run.result, Done), run
            return [each["_id"] for each in _list(run.result)]
        finally:
            self.snapshot.end()


def _list(result: Done) -> list[Any]:
    found: Any = decode(result.result)
    return list(found)


@define(eq=False)
class Live:
    """A live query of the chain, and how it stands with the table.

    Attributes:
        since: the timestamp of its run.
        is_told: whether the table knows its read set; else it is told in some steps.
        owed: written since, while the table did not know: commits that must count.
    """

    id: LiveQueryId
    plan: Plan
    run: QueryRun
    answer: Answer
    since: CommitTs
    is_told: bool = False
    owed: bool = False

    @property
    def reads(self) -> tuple[ReadRange, ...]:
        return self.run.read_set.get(THINGS, ())

    def is_touched(self, writes: tuple[Write, ...]) -> bool:
        """Hold every key against every range, one by one."""
        return any(
            each.start <= keys[each.index] and (each.stop is None or keys[each.index] < each.stop)
            for write in writes
            for keys in (write.before, write.after)
            if keys is not None
            for each in self.reads
        )


@frozen
class Chosen:
    """Which part of a world is run: all of it, or less, to find what a failure needs."""

    seed: int
    steps: tuple[int, ...]
    queries: tuple[int, ...]


@define(eq=False)
class World:
    """Commits and live queries of one seed."""

    engine: Engine
    chosen: Chosen
    model: Model = field(factory=Model)
    lives: dict[int, Live] = field(factory=dict[int, Live])
    table: TableActor = field(init=False)
    cases: int = 0
    met: int = 0
    numbered: int = 0
    _told: int = 0
    _begun: int = 0
    _known: list[int] = field(factory=list[int])

    def __attrs_post_init__(self) -> None:
        random = Random(f"{self.chosen.seed} table")
        self.table = TableActor(name=THINGS, inbox=Mailbox[TableMessage](100), queries=Ignored())
        self.table.recent = RecentWrites(random.choice((0, 2, 6, 1000)))

    def run(self) -> None:
        """Run what was chosen.

        Raises: Missed, FalseAlarm, WrongAnswer.
        """
        self.engine.clear()
        for step in self.chosen.steps:
            random = Random(f"{self.chosen.seed} step {step}")
            self._commit(random)
            for number in self.chosen.queries:
                self._tend(number, Random(f"{self.chosen.seed} query {number} at {step}"))
        self.engine.check_log()

    # --- A commit --------------------------------------------------------------------------------

    def _commit(self, random: Random) -> None:
        self.engine.now_ns += random.choice((0, 1, 10**9))
        model = self.model
        model.written = {}
        programs, expected = list[Program](), list[bool]()
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            program = random_program(random, model)
            programs.append(program)
            expected.append(model.run(program))
        outcomes, ts, writes = self.engine.commit(programs)
        succeeded = [isinstance(outcome.result, Done) for outcome in outcomes]
        if succeeded != expected:
            raise WrongAnswer(f"the mutations {programs} ended {outcomes}; right is {expected}")
        self._known = [*model.rows, *(number for number in model.written if number in DESK.ids)]
        met: dict[LiveQueryId, CommitTs] = {}
        if writes:
            self._handle(TableWrites(ts, writes), met)
        self._check_all(met, writes)

    def _handle(self, message: TableMessage, met: dict[LiveQueryId, CommitTs]) -> None:
        self.table._handle(message, met)
        if not isinstance(message, TableWrites):
            self._told = max(self._told, message.number)
        if self.table._told != self._told:
            raise Missed(f"the table was told {self._told}, and says {self.table._told}")

    def _check_all(self, met: dict[LiveQueryId, CommitTs], writes: tuple[Write, ...]) -> None:
        self.engine.snapshot.begin()
        try:
            for number, live in list(self.lives.items()):
                self._check(number, live, met, writes)
        finally:
            self.engine.snapshot.end()

    def _check(
        self,
        number: int,
        live: Live,
        met: dict[LiveQueryId, CommitTs],
        writes: tuple[Write, ...],
    ) -> None:
        """Hold what the table says of a live query against running it again, and the model."""
        self.cases += 1
        should = any(
            live.answer.met_by(row, (before, self.model.rows.get(row)))
            for row, before in self.model.written.items()
            if before is not None or row in self.model.rows
        )
        touched = live.is_touched(writes)
        if live.is_told:
            is_met = live.id in met
            if is_met and met[live.id] != live.since:
                raise Missed(f"{live.plan} was met as of {met[live.id]}, it ran at {live.since}")
        else:
            is_met = touched
            live.owed |= touched
        again = self.engine.query(live.plan, live.run.journal)
        if not (is_met or live.owed) and again.result != live.run.result:
            raise Missed(f"{live.plan}: {live.run.result} is now {again.result}")
        if should and not is_met:
            raise Missed(f"{live.plan} consumed a row of {self.model.written}, {live.reads}")
        if is_met and not should:
            raise FalseAlarm(f"{live.plan} consumed no row of {self.model.written}: {live.reads}")
        if is_met:
            self.met += 1
        if live.is_told and is_met:
            self._took(live, again)

    # --- The life of a query ---------------------------------------------------------------------

    def _tend(self, number: int, random: Random) -> None:
        """Begin a query, tell the table of it, or drop it."""
        live = self.lives.get(number)
        if live is None:
            self._begin(number, random)
        elif not live.is_told:
            if random.random() < 0.6:
                self._tell(live)
        elif random.random() < 0.1:
            self._handle(Unsubscribe(live.id, self._number()), {})
            del self.lives[number]

    def _begin(self, number: int, random: Random) -> None:
        plan = random_plan(random, self._known)
        ts = self.engine.snapshot.begin()
        try:
            run = self.engine.query(plan, None)
            answer = self._right(plan, None, run)
            if plan.end == "page" and random.random() < 0.5 and run.journal is not None:
                # The page after this one.
                assert answer.page_end is not None, plan
                plan = evolve(plan, after=(run.journal, answer.page_end[0]))
                run = self.engine.query(plan, None)
                answer = self._right(plan, None, run)
        finally:
            self.engine.snapshot.end()
        if isinstance(run.result, Refused):
            run = evolve(run, journal=None)  # A run that failed says nothing about a page's end.
        self._begun += 1
        ident = LiveQueryId(self._begun)
        live = self.lives[number] = Live(ident, plan, run, answer, ts)
        if random.random() < 0.7:
            self._tell(live)

    def _took(self, live: Live, run: QueryRun) -> None:
        """Let a run take the place of the last; it is told at once, or in some steps."""
        live.answer = self._right(live.plan, live.answer.page_end, run)
        journal = run.journal if isinstance(run.result, Done) else live.run.journal
        live.run = evolve(run, journal=journal)
        live.since = self.table.ts
        live.is_told = live.owed = False
        self._tell(live)

    def _tell(self, live: Live) -> None:
        """Tell the table what a query read: commits since its run must count."""
        for each in live.reads:
            if each.stop is not None and each.stop <= each.start:
                raise FalseAlarm(f"{live.plan} read a range that holds nothing: {each}")
        met: dict[LiveQueryId, CommitTs] = {}
        self._handle(Subscribe(live.id, live.reads, live.since, self._number()), met)
        live.is_told = True
        forgotten = live.since < self.table.recent.forgotten_ts
        if (live.id in met) != (live.owed or forgotten):
            kind = Missed if live.owed else FalseAlarm
            raise kind(f"{live.plan} of {live.since} was told at {self.table.ts}: {met}")
        if live.id in met:
            live.owed = False
            self.engine.snapshot.begin()
            try:
                self._took(live, self.engine.query(live.plan, live.run.journal))
            finally:
                self.engine.snapshot.end()

    def _number(self) -> int:
        """Draw a message's number. Merged messages come early: a smaller one may follow."""
        self.numbered += 1
        return self.numbered if self.numbered % 3 else self.numbered - 2

    def _right(self, plan: Plan, page_end: tuple[Key | None] | None, run: QueryRun) -> Answer:
        """Give the model's answer, which the run's must be."""
        answer = Naive(self.model.rows, ROWS_READ_MAX).answer(plan, page_end)
        if isinstance(run.result, Refused):
            if answer.found is not None:
                raise WrongAnswer(f"{plan} failed: {run.result}; right is {answer.found}")
            # A page that failed ends where it ended before.
            return answer if answer.page_end else evolve(answer, page_end=page_end)
        found = [None if each is None else each["_id"] for each in _list(run.result)]
        if answer.found is None:
            raise WrongAnswer(f"{plan} gives {found}; it should have failed")
        right = [None if each is None else DESK.ids[each] for each in answer.found]
        if found != right:
            raise WrongAnswer(f"{plan} gives {found}; right is {right}")
        return answer


def run_world(
    engine: Engine, seed: int, steps: int = 25, queries: int = 12, chosen: Chosen | None = None
) -> World:
    """Run a seed's world, or a part of it."""
    world = World(engine, chosen or Chosen(seed, tuple(range(steps)), tuple(range(queries))))
    world.run()
    return world


def shrink(engine: Engine, chosen: Chosen, error: type[BaseException]) -> Chosen:
    """Leave out queries and steps as long as the same kind of error comes about."""

    def fails(less: Chosen) -> bool:
        try:
            run_world(engine, less.seed, chosen=less)
        except error:
            return True
        except Exception:
            return False
        return False

    for name in ("queries", "steps"):
        for each in getattr(chosen, name):
            less = evolve(
                chosen, **{name: tuple(one for one in getattr(chosen, name) if one != each)}
            )
            if fails(less):
                chosen = less
    return chosen


class Interrupting:
    """Stands for a snapshot whose scans are interrupted after some rows."""

    def __init__(self, inner: Any, rows: int) -> None:
        self._inner, self._rows = inner, rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def scan(self, bounds: IndexBounds, *, descending: bool = False) -> Iterator[StoredRow]:
        """Give some rows, then fail as an interrupt makes SQLite fail."""
        yield from islice(self._inner.scan(bounds, descending=descending), self._rows)
        raise InterruptedRead


def check_interrupted(engine: Engine, seed: int) -> None:
    """Interrupt a query in its scan: it depends on all of the part that it was to read.

    Raises: AssertionError.
    """
    random = Random(f"{seed} interrupted")
    plan = random_plan(random, [])
    if plan.end == "take" and not plan.count:
        return
    snapshot = engine.snapshot
    ts = snapshot.begin()
    assert ts
    engine.snapshot = Interrupting(snapshot, 0)
    try:
        run = engine.query(plan, None)
    finally:
        engine.snapshot = snapshot
        snapshot.end()
    assert isinstance(run.result, Refused), run
    spec = engine.storage.tables[THINGS]
    low, high = (tuple(to_wire(each) for each in end) for end in (plan.low, plan.high))
    prefix = tuple(to_wire(each) for each in plan.prefix)
    bounds = IndexBounds(THINGS, plan.index, prefix, low, high)
    start, stop = bounds_range(spec, bounds)
    number = [each.name for each in spec.all_indexes].index(plan.index)
    whole = () if stop is not None and stop <= start else (ReadRange(number, start, stop),)
    assert run.read_set.get(THINGS, ()) == whole, (plan, run.read_set)
