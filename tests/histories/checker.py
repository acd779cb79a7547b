"""Checks histories of list-append transactions: infers who depends on whom, and looks for cycles.

The method is Adya's (his thesis of 1999, "Weak Consistency"), with lists whose reads show the order
of their appends, as Kingsbury and Alvaro do in "Elle" (2020).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import inf
from typing import Final, Literal

from attrs import define, field, frozen

Status = Literal["ok", "failed", "unknown"]
Dependency = Literal["ww", "wr", "rw", "session", "real time"]


@frozen
class Append:
    """A value was put at the end of a list; values are unique in a history."""

    list: str
    value: int


@frozen
class Read:
    """A list was read whole."""

    list: str
    values: tuple[int, ...]


@frozen
class Transaction:
    """What one transaction did, as its client knows it.

    Attributes:
        process: transactions of one process follow one another in time.
        operations: in their order; of one that has no answer, only the appends.
        status: whether the client was told that it is done, or that it is not; or neither.
        began_at, ended_at: when it was asked for and answered, on one clock for all. What was told
            unasked began at minus infinity; what never was answered ends at infinity.
        ts: the timestamp that was told.
        is_query: a query at T reads what T wrote; a mutation stands at T itself.
    """

    name: str
    process: str
    operations: tuple[Append | Read, ...]
    status: Status = "ok"
    began_at: float = -inf
    ended_at: float = inf
    ts: int | None = None
    is_query: bool = False

    @property
    def appends(self) -> list[Append]:
        return [each for each in self.operations if isinstance(each, Append)]

    @property
    def reads(self) -> list[Read]:
        return [each for each in self.operations if isinstance(each, Read)]


@frozen
class Anomaly:
    """What no serial order explains: its name, and what shows it."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


Edges = dict[int, dict[int, tuple[Dependency, str]]]
"""For each transaction those that depend on it: how, and what shows it."""

_CYCLES: Final[tuple[tuple[str, frozenset[Dependency], bool, bool], ...]] = (
    ("G0", frozenset({"ww"}), False, False),
    ("G1c", frozenset({"ww", "wr"}), False, False),
    ("G-single", frozenset({"ww", "wr"}), True, False),
    ("G2", frozenset({"ww", "wr", "rw"}), False, False),
)
_ORDERS: Final[tuple[tuple[str, frozenset[Dependency]], ...]] = (
    ("", frozenset[Dependency]()),
    ("-session", frozenset[Dependency]({"session"})),
    ("-real-time", frozenset[Dependency]({"session", "real time"})),
)


def check(history: Sequence[Transaction]) -> list[Anomaly]:
    """Give what a history has that no strictly serializable system could have shown.

    Returns: nothing if it is strictly serializable; else the anomalies, of cycles only the first.
    """
    checker = _Checker(history)
    found = [*checker.internal(), *checker.reads_of_nothing(), *checker.orders()]
    if not found:
        found += checker.cycles()
    return found


@define
class _Checker:
    history: Sequence[Transaction]
    writers: dict[int, int] = field(factory=dict[int, int])
    longest: dict[str, tuple[int, ...]] = field(factory=dict[str, tuple[int, ...]])

    def __attrs_post_init__(self) -> None:
        for number, transaction in enumerate(self.history):
            for append in transaction.appends:
                assert append.value not in self.writers, f"value {append.value} stands twice"
                self.writers[append.value] = number

    def internal(self) -> Iterator[Anomaly]:
        """Within a transaction: a read shows what it has appended itself, and all it saw before."""
        for each in self.history:
            known: dict[str, tuple[int, ...]] = {}
            mine: dict[str, tuple[int, ...]] = {}
            for operation in each.operations:
                name = operation.list
                if isinstance(operation, Append):
                    mine[name] = (*mine.get(name, ()), operation.value)
                    if name in known:
                        known[name] = (*known[name], operation.value)
                    continue
                values, own = operation.values, mine.get(name, ())
                if (name in known and values != known[name]) or (
                    own and values[-len(own) :] != own
                ):
                    right = known.get(name, ("…", *own))
                    yield Anomaly("internal", f"{each.name} reads {name} = {values}, not {right}")
                known[name] = values

    def _foreign(self, number: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Give what a transaction read, without what it had appended itself."""
        for read in self.history[number].reads:
            values = read.values
            while values and self.writers.get(values[-1]) == number:
                values = values[:-1]
            yield read.list, values

    def reads_of_nothing(self) -> Iterator[Anomaly]:
        """G1a, G1b, and what nobody wrote."""
        for number, each in enumerate(self.history):
            for name, values in self._foreign(number):
                for value in values:
                    writer = self.writers.get(value)
                    if writer is None:
                        yield Anomaly("garbage", f"{each.name} reads {value} in {name}")
                    elif self.history[writer].status == "failed":
                        said = (
                            f"{each.name} reads {value} in {name}, of {self.history[writer].name}"
                        )
                        yield Anomaly("G1a", f"{said}, which has failed")
                writer = self.writers.get(values[-1]) if values else None
                if writer is not None:
                    last = [a.value for a in self.history[writer].appends if a.list == name][-1]
                    if values[-1] != last:
                        other = self.history[writer].name
                        yield Anomaly(
                            "G1b",
                            f"{each.name} reads {name} up to {values[-1]}, not the last of "
                            f"{other}, which appends {last} as well",
                        )

    def orders(self) -> Iterator[Anomaly]:
        """Find the order of each list; reads that fit no single one are told."""
        for each in self.history:
            for read in each.reads:
                if len(set(read.values)) != len(read.values):
                    yield Anomaly("duplicate", f"{each.name} reads {read.list} = {read.values}")
                if len(read.values) > len(self.longest.get(read.list, ())):
                    self.longest[read.list] = read.values
        for each in self.history:
            for read in each.reads:
                right = self.longest.get(read.list, ())
                if read.values != right[: len(read.values)]:
                    yield Anomaly(
                        "incompatible order",
                        f"{each.name} reads {read.list} = {read.values}, another {right}",
                    )

    # --- Who depends on whom ---------------------------------------------------------------------

    def _is_in(self, number: int) -> bool:
        """Say whether a transaction has happened: told so, or its appends were seen."""
        each = self.history[number]
        if each.status == "ok":
            return True
        seen = {value for values in self.longest.values() for value in values}
        return each.status == "unknown" and any(a.value in seen for a in each.appends)

    def _edges(self) -> Edges:
        happened = [number for number in range(len(self.history)) if self._is_in(number)]
        edges: Edges = {number: {} for number in happened}

        def add(one: int, other: int, how: Dependency, text: str) -> None:
            # The first to say so is kept: dependencies of data come before those of time.
            if one != other:
                edges[one].setdefault(other, (how, text))

        for name, values in self.longest.items():
            for one, other in pairwise(values):
                add(self.writers[one], self.writers[other], "ww", f"{name}: {one} then {other}")
        places = {
            name: {value: place for place, value in enumerate(values)}
            for name, values in self.longest.items()
        }
        unseen = self._unseen(happened)
        for number in happened:
            for name, values in self._foreign(number):
                if values:
                    add(self.writers[values[-1]], number, "wr", f"{name}: {values[-1]} is read")
                place = places[name][values[-1]] + 1 if values else 0
                order = self.longest.get(name, ())
                later = [order[place]] if place < len(order) else unseen.get(name, [])
                for value in later:
                    # What it has appended itself it has not missed; but what follows that it has.
                    if self.writers[value] != number:
                        add(number, self.writers[value], "rw", f"{name}: {value} is not yet read")
        for one, other in self._sessions(happened):
            add(one, other, "session", self.history[one].process)
        for one, other in self._times(happened):
            add(one, other, "real time", f"{self.history[one].ended_at:g} s")
        return edges

    def _unseen(self, happened: list[int]) -> dict[str, list[int]]:
        """Give the values of each list that are there and that nobody has read."""
        found: dict[str, list[int]] = {}
        for number in happened:
            for append in self.history[number].appends:
                if append.value not in self.longest.get(append.list, ()):
                    found.setdefault(append.list, []).append(append.value)
        return found

    def _sessions(self, happened: list[int]) -> Iterator[tuple[int, int]]:
        last: dict[str, int] = {}
        for number in happened:
            process = self.history[number].process
            if process in last:
                yield last[process], number
            last[process] = number

    def _times(self, happened: list[int]) -> Iterator[tuple[int, int]]:
        """Give who ended before whom began: of these only what does not follow from others."""
        moments = [(self.history[n].began_at, 1, n) for n in happened]
        moments += [(self.history[n].ended_at, 0, n) for n in happened]
        frontier: dict[int, None] = {}
        before: dict[int, list[int]] = {}
        # At one moment the beginnings come first: then nobody has ended before.
        for at, is_begin, number in sorted(moments, key=lambda each: (each[0], -each[1])):
            if is_begin:
                before[number] = list(frontier)
                for each in frontier:
                    yield each, number
            elif at < inf:
                for each in before.get(number, ()):
                    frontier.pop(each, None)
                frontier[number] = None

    # --- Cycles ----------------------------------------------------------------------------------

    def cycles(self) -> Iterator[Anomaly]:
        """Give the first kind of cycle there is, the plainest first."""
        edges = self._edges()
        for suffix, order in _ORDERS:
            for kind, wanted, with_one_rw, _ in _CYCLES:
                found = (
                    self._single(edges, wanted | order)
                    if with_one_rw
                    else self._cycle(edges, wanted | order)
                )
                if found is not None:
                    yield Anomaly(kind + suffix, self._told(edges, found))
                    return

    def _cycle(self, edges: Edges, wanted: frozenset[Dependency]) -> list[int] | None:
        for component in components(edges, wanted):
            if len(component) > 1:
                path = _path(edges, component[0], component[0], wanted, set(component))
                assert path is not None
                return path
        return None

    def _single(self, edges: Edges, wanted: frozenset[Dependency]) -> list[int] | None:
        """Find a cycle with exactly one rw."""
        for component in components(edges, wanted | {"rw"}):
            inside = set(component)
            for one in component if len(component) > 1 else ():
                for other, (how, _) in edges[one].items():
                    if how == "rw" and other in inside:
                        path = _path(edges, other, one, wanted, inside)
                        if path is not None:
                            return [one, *path]
        return None

    def _told(self, edges: Edges, path: list[int]) -> str:
        said = [
            f"{self.history[one].name} → {self.history[other].name} "
            f"({edges[one][other][0]}, {edges[one][other][1]})"
            for one, other in pairwise(path)
        ]
        return "; ".join(said)


def components(edges: Edges, wanted: Iterable[Dependency]) -> Iterator[list[int]]:
    """Give the strongly connected components over edges of these kinds (Tarjan, 1972)."""
    kinds = set(wanted)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in edges:
        if root in index:
            continue
        work = [(root, iter([o for o, (how, _) in edges[root].items() if how in kinds]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, others = work[-1]
            for other in others:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    following = [o for o, (how, _) in edges[other].items() if how in kinds]
                    work.append((other, iter(following)))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    component = list[int]()
                    while not component or component[-1] != node:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                    yield component


def _path(
    edges: Edges, start: int, goal: int, wanted: Iterable[Dependency], inside: set[int]
) -> list[int] | None:
    """Give the shortest way of at least one step, or none."""
    kinds = set(wanted)
    came: dict[int, int] = {}
    layer = [start]
    while layer:
        following = list[int]()
        for node in layer:
            for other, (how, _) in edges[node].items():
                if how not in kinds or other not in inside or (other in came):
                    continue
                came[other] = node
                if other == goal:
                    path = [goal]
                    while len(path) == 1 or path[-1] != start:
                        path.append(came[path[-1]])
                    return path[::-1]
                following.append(other)
        layer = following
    return None


# --- The sharper check ----------------------------------------------------------------------------


def check_timestamps(history: Sequence[Transaction]) -> list[Anomaly]:
    """Hold each read against the appends up to its timestamp, and timestamps against real time.

    All that was told "ok" has a timestamp. What has no answer may stand anywhere, so its values are
    passed over; a history without such is checked in full.
    """
    found = list[Anomaly]()
    done = [each for each in history if each.status == "ok"]
    nowhere = {a.value for each in history if each.status == "unknown" for a in each.appends}
    stamps = [each.ts for each in done if not each.is_query and each.appends]
    if len(set(stamps)) != len(stamps):
        found.append(Anomaly("timestamp", "two mutations share one"))
    lists: dict[str, tuple[int, ...]] = {}
    for each in sorted(done, key=lambda each: (each.ts or 0, each.is_query)):
        assert each.ts is not None, each
        for operation in each.operations:
            right = lists.get(operation.list, ())
            if isinstance(operation, Append):
                lists[operation.list] = (*right, operation.value)
                continue
            values = tuple(value for value in operation.values if value not in nowhere)
            if values != right:
                found.append(
                    Anomaly(
                        "timestamp",
                        f"{each.name} at {each.ts} reads {operation.list} = {values}; the appends "
                        f"up to then are {right}",
                    )
                )
    newest = 0
    begun = sorted(done, key=lambda each: each.began_at)
    ended = sorted(done, key=lambda each: each.ended_at)
    place = 0
    for each in begun:
        while place < len(ended) and ended[place].ended_at < each.began_at:
            newest = max(newest, ended[place].ts or 0)
            place += 1
        # A mutation without appends may stand behind another at one timestamp.
        at_least = newest + bool(each.appends)
        if (each.ts or 0) < at_least:
            found.append(
                Anomaly(
                    "timestamp",
                    f"{each.name} has {each.ts}, but {newest} was told before it was asked for",
                )
            )
    return found
