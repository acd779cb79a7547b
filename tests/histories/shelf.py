"""Documents, queries and writes of every kind that an index knows, and a slow model of them all."""

from collections.abc import Mapping
from math import copysign
from random import Random
from typing import Any

from attrs import define, evolve, field, frozen

from flow_backend.errors import AppError, DocumentError
from flow_backend.functions.context import MutationCtx, QueryCtx
from flow_backend.functions.function import mutation, query
from flow_backend.schema.document import Document, Id, document
from flow_backend.schema.index import Index
from flow_backend.schema.pages import PaginationOptions
from flow_backend.values.value import Int64

Mixed = None | str | float | Int64 | bool


@document("things")
class Thing(Document):
    group: str
    rank: float
    size: int | None
    mix: Mixed
    code: str | None
    friend: Id["Thing"] | None
    note: str

    by_group = Index("group", "rank")
    by_parts = Index("size", "mix", "group")
    by_rank = Index("rank")
    by_mix = Index("mix", "size")
    by_code = Index("code", unique=True)
    by_pair = Index("group", "size", unique=True)


INDEXES: Mapping[str, tuple[str, ...]] = {
    "by_group": ("group", "rank"),
    "by_parts": ("size", "mix", "group"),
    "by_rank": ("rank",),
    "by_mix": ("mix", "size"),
    "by_code": ("code",),
    "by_pair": ("group", "size"),
    "by_creation_time": (),
}
UNIQUE = (("code",), ("group", "size"))

# Neighbours in every way that a key could confuse: NUL at the end, prefixes, both zeros, one more.
TEXTS = ("", "a", "a\0", "a\0b", "aa", "b", "é")
FLOATS = (float("-inf"), -1.5, -0.0, 0.0, 5e-324, 1.0, float("inf"))
SIZES = (None, -1, 0, 1, 2, 256)
VALUES: Mapping[str, tuple[Any, ...]] = {
    "group": TEXTS[:4],
    "rank": FLOATS,
    "size": SIZES,
    "mix": (None, Int64(-1), Int64(0), Int64(300), -0.0, 0.0, 1.0, False, True, "", "a", "a\0"),
    "code": (None, None, None, *TEXTS),
}
NOTES = ("", "x", "y")

Fields = dict[str, Any]
"""A document's fields; ``friend`` is another document's number."""

Key = tuple[Any, ...]


# --- The order of values, said a second time ------------------------------------------------------


def place_of(name: str, value: Any) -> Key:
    """Give a value's place among those of its field, as a tuple that Python orders."""
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (3, value)
    if isinstance(value, Int64):
        return (1, int(value))
    if isinstance(value, (int, float)):
        # Only a field of whole numbers holds one zero.
        return (2, float(value), copysign(1.0, value) if name != "size" else 1.0)
    return (4, str(value).encode())


def key_of(index: str, fields: Fields, number: int) -> Key:
    """Give a document's place in an index; ties go in the order of creation."""
    return (*[place_of(name, fields[name]) for name in INDEXES[index]], (number,))


# --- What is asked --------------------------------------------------------------------------------


@frozen
class Plan:
    """One query: a part of an index, and how far it is read.

    Attributes:
        prefix: values of leading fields.
        low, high: of the next field, as tuples of one value or none.
        keep: only documents with this note, None for all.
        end: how the scan is consumed, with ``count`` where that needs a number.
        after: the cursor of the page before, and the place it stands for.
        follow: whether the friends of what was found are looked up as well.
        nested: whether another query does the work.
    """

    index: str
    prefix: tuple[Any, ...] = ()
    low: tuple[Any, ...] = ()
    high: tuple[Any, ...] = ()
    descending: bool = False
    keep: str | None = None
    end: str = "collect"
    count: int = 1
    after: tuple[str, Key | None] | None = None
    follow: bool = False
    nested: bool = False
    get: int | None = None


@define
class Desk:
    """What the functions are to do next, and the ids of documents by their number."""

    plan: Plan = field(factory=lambda: Plan("by_rank"))
    program: "Program | None" = None
    ids: dict[int, str] = field(factory=dict[int, str])


DESK = Desk()


def _range(plan: Plan) -> Any:
    if plan.index == "by_creation_time":
        return Thing
    index = getattr(Thing, plan.index)
    if not (plan.prefix or plan.low or plan.high):
        return index
    low, high = plan.low[0] if plan.low else None, plan.high[0] if plan.high else None
    return index[(*plan.prefix, slice(low, high))] if plan.low or plan.high else index[plan.prefix]


def _consume(ctx: QueryCtx, plan: Plan) -> list[Thing]:
    scan: Any = ctx.db.scan(_range(plan))
    if plan.descending:
        scan = scan.desc()
    if plan.keep is not None:
        scan = scan.filter(lambda thing: thing.note == plan.keep)
    match plan.end:
        case "take":
            found: list[Thing] = scan.take(plan.count)
        case "first":
            one = scan.first()
            found = [] if one is None else [one]
        case "unique":
            one = scan.unique()
            found = [] if one is None else [one]
        case "walk":
            found = []
            for thing in scan:
                found.append(thing)
                if len(found) == plan.count:
                    break
        case "page":
            cursor = None if plan.after is None else plan.after[0]
            found = scan.paginate(PaginationOptions(num_items=plan.count, cursor=cursor)).page
        case "short page":
            options = PaginationOptions(num_items=99, maximum_rows_read=plan.count)
            found = scan.paginate(options).page
        case _:
            found = scan.collect()
    return found


@query
def inner(ctx: QueryCtx) -> list[Thing]:
    return _consume(ctx, DESK.plan)


@query
def read(ctx: QueryCtx) -> list[Thing | None]:
    plan = DESK.plan
    if plan.get is not None:
        return [ctx.db.get(Id[Thing](DESK.ids[plan.get]))]
    found: list[Thing | None] = [*(ctx.run(inner) if plan.nested else _consume(ctx, plan))]
    if plan.follow:
        found += [
            None if each is None or each.friend is None else ctx.db.get(each.friend)
            for each in list(found)
        ]
    return found


# --- What is written ------------------------------------------------------------------------------


@frozen
class Op:
    """One write: ``undo`` is a nested mutation of ``ops`` that fails and is caught."""

    kind: str
    number: int = -1
    fields: Fields = field(factory=dict)
    ops: tuple["Op", ...] = ()


@frozen
class Program:
    """One mutation; ``fails`` says that it raises after all its writes."""

    ops: tuple[Op, ...]
    fails: bool = False


def _python(fields: Fields) -> Fields:
    changed = dict(fields)
    if changed.get("friend") is not None:
        changed["friend"] = DESK.ids[changed["friend"]]
    return changed


def _perform(ctx: MutationCtx, op: Op) -> None:
    match op.kind:
        case "insert":
            DESK.ids[op.number] = ctx.db.insert(Thing(**_python(op.fields)))
        case "patch":
            ctx.db.patch(Id[Thing](DESK.ids[op.number]), **_python(op.fields))
        case "replace":
            ctx.db.replace(Id[Thing](DESK.ids[op.number]), Thing(**_python(op.fields)))
        case "delete":
            ctx.db.delete(Id[Thing](DESK.ids[op.number]))
        case _:
            before = DESK.program
            DESK.program = Program(op.ops, fails=True)
            try:
                ctx.run(write)
            except (AppError, DocumentError):
                pass
            finally:
                DESK.program = before


@mutation
def write(ctx: MutationCtx) -> None:
    program = DESK.program
    assert program is not None
    for op in program.ops:
        _perform(ctx, op)
    if program.fails:
        raise AppError("no")


FUNCTIONS = {"t:read": read, "t:inner": inner, "t:write": write}


# --- The model ------------------------------------------------------------------------------------


class Refusal(Exception):
    """The model refuses a mutation."""


@define
class Model:
    """What the table holds: fields by number, which is also the order of creation."""

    rows: dict[int, Fields] = field(factory=dict)
    last: int = 0
    written: dict[int, Fields | None] = field(factory=dict)
    """Of each row written since the batch began: what it was before."""

    def run(self, program: Program) -> bool:
        """Apply a mutation. Returns: whether it succeeds; else nothing of it is left."""
        rows, written = dict(self.rows), dict(self.written)
        try:
            for op in program.ops:
                self._apply(op)
            if program.fails:
                raise Refusal
        except Refusal:
            self.rows, self.written = rows, written
            return False
        return True

    def _apply(self, op: Op) -> None:
        if op.kind == "undo":
            self.run(Program(op.ops, fails=True))
            return
        before = self.rows.get(op.number)
        if (before is None) != (op.kind == "insert"):
            raise Refusal
        if op.kind == "delete":
            self._put(op.number, before, None)
            return
        after = {**(before or {}), **op.fields}
        if op.fields.get("friend") is not None and op.fields["friend"] not in self.rows:
            raise Refusal
        if before is not None and same(before, after):
            return
        for names in UNIQUE:
            mine = [after[name] for name in names]
            for number, other in self.rows.items():
                if None not in mine and number != op.number and mine == [other[n] for n in names]:
                    raise Refusal
        self._put(op.number, before, after)

    def _put(self, number: int, before: Fields | None, after: Fields | None) -> None:
        self.written.setdefault(number, before)
        if after is None:
            del self.rows[number]
        else:
            self.rows[number] = after


def same(one: Fields, other: Fields) -> bool:
    """Say whether two documents are the same bytes: 0 and −0 are not, 1 and True are not."""
    return repr(one) == repr(other)


@frozen
class Interval:
    """What one scan consumed: up to ``last``, or all of its range."""

    plan: Plan
    last: Key | None = None

    def holds(self, fields: Fields, number: int) -> bool:
        key = key_of(self.plan.index, fields, number)
        if not inside(self.plan, key):
            return False
        if self.last is None:
            return True
        return key >= self.last if self.plan.descending else key <= self.last


def inside(plan: Plan, key: Key) -> bool:
    """Say whether a place lies in the part of the index that a plan asks for."""
    names = INDEXES[plan.index]
    for place, value in enumerate(plan.prefix):
        if key[place] != place_of(names[place], value):
            return False
    place = len(plan.prefix)
    if plan.low and key[place] < place_of(names[place], plan.low[0]):
        return False
    if plan.high and key[place] >= place_of(names[place], plan.high[0]):
        return False
    if plan.after is not None:
        behind = plan.after[1]
        return behind is not None and (key < behind if plan.descending else key > behind)
    return True


@frozen
class Answer:
    """What a query must say: numbers of documents (None: there is none), or that it fails."""

    found: tuple[int | None, ...] | None
    intervals: tuple[Interval, ...] = ()
    gets: frozenset[int] = frozenset()
    page_end: tuple[Key | None] | None = None

    def met_by(self, number: int, images: tuple[Fields | None, ...]) -> bool:
        """Say whether a row that was written lies in what was consumed, before or after."""
        return number in self.gets or any(
            each.holds(fields, number)
            for each in self.intervals
            for fields in images
            if fields is not None
        )


@define
class Naive:
    """Answers a plan by going through everything; ``room`` is how many rows may be read."""

    rows: dict[int, Fields]
    room: int

    def answer(self, plan: Plan, page_end: tuple[Key | None] | None) -> Answer:
        """Answer; ``page_end`` is where the page of the last run ended, if there was one."""
        if plan.get is not None:
            found = plan.get if plan.get in self.rows else None
            return Answer((found,), gets=frozenset({plan.get}))
        numbers, interval, end = self._scan(plan, page_end)
        intervals = () if interval is None else (interval,)
        if numbers is None:
            return Answer(None, intervals, page_end=end)
        if not plan.follow:
            return Answer(tuple(numbers), intervals, page_end=end)
        followed, gets = list[int | None](numbers), set[int]()
        for number in numbers:
            friend = self.rows[number]["friend"]
            if friend is not None:
                gets.add(friend)
                self.room -= friend in self.rows
                if self.room < 0:
                    return Answer(None, intervals, frozenset(gets), end)
            followed.append(friend if friend in self.rows else None)
        return Answer(tuple(followed), intervals, frozenset(gets), end)

    def _scan(
        self, plan: Plan, page_end: tuple[Key | None] | None
    ) -> tuple[list[int] | None, Interval | None, tuple[Key | None] | None]:
        is_page = plan.end in ("page", "short page")
        if plan.end == "take" and plan.count == 0:
            return [], None, None
        if is_page and plan.after is not None and plan.after[1] is None:
            return [], None, (None,)
        ordered = sorted(
            (key_of(plan.index, fields, number), number) for number, fields in self.rows.items()
        )
        if plan.descending:
            ordered.reverse()
        wanted = {"take": plan.count, "first": 1, "unique": 2, "walk": plan.count}.get(plan.end)
        most_rows = plan.count if plan.end == "short page" else 10**6
        if plan.end == "page" and page_end is None:
            wanted = plan.count
        kept, looked, last = list[int](), 0, None
        for key, number in ordered:
            if not inside(plan, key):
                continue
            if page_end is not None and page_end[0] is not None:
                past = key < page_end[0] if plan.descending else key > page_end[0]
                if past:
                    continue
            self.room -= 1
            if self.room < 0:
                if is_page and last is not None:
                    return kept, Interval(plan, key), (last,)
                return None, Interval(plan, key), None
            looked, last = looked + 1, key
            if plan.keep is None or self.rows[number]["note"] == plan.keep:
                kept.append(number)
            if looked >= most_rows or len(kept) == wanted:
                if plan.end == "unique":
                    return None, Interval(plan, key), None
                return kept, Interval(plan, key), (key,) if is_page else None
        if page_end is not None and page_end[0] is not None:
            # Nothing past the fixed end belongs to the page.
            return kept, Interval(plan, page_end[0]), page_end
        return kept, Interval(plan), (None,) if is_page else None


# --- Chance ---------------------------------------------------------------------------------------


def random_fields(random: Random, alive: list[int]) -> Fields:
    fields = {name: random.choice(values) for name, values in VALUES.items()}
    fields["friend"] = random.choice(alive) if alive and random.random() < 0.5 else None
    fields["note"] = random.choice(NOTES)
    return fields


def random_plan(random: Random, numbers: list[int]) -> Plan:
    if numbers and random.random() < 0.1:
        return Plan("by_rank", get=random.choice(numbers))
    index = random.choice(list(INDEXES))
    names = INDEXES[index]
    fixed = random.randrange(len(names) + 1)
    prefix = tuple(random.choice(VALUES[name]) for name in names[:fixed])
    low = high = ()
    if fixed < len(names):
        values = [each for each in VALUES[names[fixed]] if each is not None]
        low = (random.choice(values),) if random.random() < 0.4 else ()
        high = (random.choice(values),) if random.random() < 0.4 else ()
    return _plan(random, index, prefix, low, high)


def _plan(
    random: Random,
    index: str,
    prefix: tuple[Any, ...],
    low: tuple[Any, ...],
    high: tuple[Any, ...],
) -> Plan:
    end = random.choice(
        ("collect", "take", "take", "first", "unique", "walk", "page", "page", "short page")
    )
    plan = Plan(
        index,
        prefix,
        low,
        high,
        descending=random.random() < 0.5,
        keep=random.choice((None, None, *NOTES)),
        end=end,
        count=random.randrange(1, 5),
        follow=random.random() < 0.2,
        nested=random.random() < 0.1,
    )
    return evolve(plan, count=0) if end == "take" and random.random() < 0.1 else plan


def random_program(random: Random, model: Model) -> Program:
    """Draw a mutation: some of its writes are about rows that it has made itself."""
    alive = list(model.rows)
    ops = [_random_op(random, model, alive, 0) for _ in range(random.randrange(1, 4))]
    return Program(tuple(ops), fails=random.random() < 0.1)


def _random_op(random: Random, model: Model, alive: list[int], depth: int) -> Op:
    chance = random.random()
    if chance < 0.08 and not depth:
        inner_alive = list(alive)
        return Op("undo", ops=tuple(_random_op(random, model, inner_alive, 1) for _ in range(2)))
    if not alive or (chance < 0.35 and len(alive) < 14):
        model.last += 1
        fields = random_fields(random, alive)
        alive.append(model.last)
        return Op("insert", model.last, fields)
    number = random.choice(alive)
    if chance < 0.7:
        fields = random_fields(random, alive)
        names = random.sample(list(fields), random.randrange(1, 4))
        return Op("patch", number, {name: fields[name] for name in names})
    if chance < 0.8:
        return Op("replace", number, random_fields(random, alive))
    alive.remove(number)
    return Op("delete", number)
