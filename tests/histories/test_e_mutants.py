"""E: each comparison of what matches commits with reads is turned; every mutant must be noticed."""

import signal
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

import pytest

from tests.effort import cases
from tests.histories.chain import Engine, check_interrupted, run_world
from tests.histories.layouts import check_layout
from tests.histories.mutants import Mutant, mutants_of, planted
from tests.histories.ranges import check_ranges
from tests.histories.searches import check_searches
from tests.histories.spans import check_spans

RANGES: Final = "flow_backend.actors.range_map"
SEARCHES: Final = "flow_backend.actors.search_map"
TABLE: Final = "flow_backend.actors.table"
READ_SET: Final = "flow_backend.functions.read_set"
KEYS: Final = "flow_backend.storage.keys"
FUNCTIONS: Final = "flow_backend.functions.scan"
SCAN: Final = "flow_backend.storage.scan"
MATCHER: Final[Mapping[str, tuple[str, ...]]] = {
    RANGES: (
        "_Node.measure",
        "_order",
        "IntervalTree.add",
        "IntervalTree.discard",
        "IntervalTree.owners_at",
        "IntervalTree._find",
        "_split",
        "_merge",
        "_without",
        "RangeMap.put",
        "RangeMap.discard",
        "RangeMap.touched_by",
    ),
    SEARCHES: (
        "_Group.table",
        "SearchMap.__bool__",
        "SearchMap.add",
        "SearchMap.discard",
        "SearchMap.find",
        "_find_in",
    ),
    READ_SET: (
        "ReadRange.__contains__",
        "ReadRange.is_point",
        "SearchRead.__contains__",
        "just",
    ),
    TABLE: (
        "keys_of",
        "RecentWrites.append",
        "RecentWrites.touch",
        "TableActor._handle",
    ),
    "flow_backend.functions.reads": ("OpenScan.read_range", "_index_number", "Reads.read_set"),
    FUNCTIONS: (
        "Scan.desc",
        "Scan.filter",
        "Scan.admits",
        "Scan.__iter__",
        "Scan.rows",
        "Scan.collect",
        "Scan.take",
        "Scan.first",
        "Scan.unique",
        "Scan._open",
        "Scan._rows",
        "Scan._count",
    ),
    KEYS: (
        "bounds_range",
        "position_key",
        "IndexKeys.__init__",
        "IndexKeys.span",
        "IndexKeys.position_of",
        "IndexKeys._cut",
        "TableKeys.replaced",
        "_later",
        "_earlier",
        "_column",
        "_key_function",
    ),
    SCAN: ("IndexScan._pieces", "IndexScan._text", "_ranges"),
    "flow_backend.storage.batch": ("Batch.add", "Batch.writes", "_merged"),
}
"""What decides whether a commit meets a read; IndexScan's plans are a shortcut to the same texts,
and tests/storage/test_scan.py holds the two to each other."""

_TIES: Final = "The two differ for equal orders only, and those have been told apart before."
_CHUNKS: Final = "It decides how many rows are taken from SQL at once, and not which are given."
_NEVER_NULL: Final = "An id, a creation time and a row's number never are null: nobody is added."
_SAME_CUT: Final = "Cuts with one key have the same parts: it does not matter which is given."
EQUIVALENT: Final[Mapping[tuple[str, str], str]] = {
    ("IntervalTree.owners_at", "node.last_stop < key"): (
        "A subtree that ends at the key is looked through in vain: its ends are not included."
    ),
    ("IntervalTree._find", "wanted <= node.order"): _TIES,
    ("_split", "node.order <= order"): (
        "A tree is split at an order that is not in it: add() has looked for it before."
    ),
    ("_merge", "less.priority >= more.priority"): (
        "Any order of equal priorities is a heap; the tree is right for all of them."
    ),
    ("_without", "order <= node.order"): _TIES,
    ("Scan._rows", "<= _SMALL_BYTES"): _CHUNKS,
    ("Scan._rows", "> _SMALL_BYTES"): _CHUNKS,
    ("Scan._rows", ">= _SMALL_BYTES"): _CHUNKS,
    ("IndexKeys.__init__", "KeyColumn(ID, ColumnKind.TEXT, True"): _NEVER_NULL,
    ("IndexKeys.__init__", "KeyColumn(CREATION_TIME, ColumnKind.REAL, True"): _NEVER_NULL,
    ("IndexKeys.__init__", "KeyColumn(ROW_NUMBER, None, True"): _NEVER_NULL,
    ("_later", "other.key >= one.key"): _SAME_CUT,
    ("_earlier", "other.key <= one.key"): _SAME_CUT,
}
"""Mutants that no test can tell from the original: function, what it says then, and why."""


def excuse(mutant: Mutant) -> str | None:
    """Give why a mutant cannot be noticed, None if it must be."""
    added = [line for line in mutant.diff.split("\n") if line.startswith("+")]
    for (function, text), why in EQUIVALENT.items():
        if function == mutant.function and any(text in line for line in added):
            return why
    return None


class NeverEndsError(BaseException):
    """A mutant goes round in circles: that is noticed, too."""


@contextmanager
def bounded(seconds: int) -> Generator[None]:
    """Throw NeverEndsError after so much processor time, and again: functions may catch one."""

    def ring(*_: object) -> None:
        raise NeverEndsError

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 0.2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def is_noticed(mutant: Mutant, worlds: int) -> bool:
    # A new one each time: the text of a scan is kept with its table.
    engine = Engine()
    try:
        with planted(mutant):
            for check in _checks(engine, mutant.module, worlds):
                with bounded(1):
                    check()
    except (Exception, NeverEndsError):
        return True
    finally:
        engine.close()
    return False


def _checks(engine: Engine, module: str, worlds: int) -> Iterator[Callable[[], None]]:
    """Give what may notice a mutant, the quickest first."""
    if module in (RANGES, READ_SET):
        for seed in range(worlds):
            yield partial(check_ranges, seed)
    if module in (RANGES, SEARCHES, READ_SET, KEYS):
        for seed in range(worlds):
            yield partial(check_searches, seed)
    if module in (RANGES, SEARCHES):
        return
    if module == TABLE:
        yield check_layout
    yield engine.open
    for seed in range(worlds):
        if module in (KEYS, SCAN):
            yield partial(check_spans, engine, seed)
        if module == FUNCTIONS:
            yield partial(check_interrupted, engine, seed)
        if module != SCAN:
            yield partial(run_world, engine, seed)


@pytest.mark.slow
@pytest.mark.parametrize("module", MATCHER)
def test_e_every_mutant_of_the_matcher_is_noticed(module: str) -> None:
    """What no test notices could be lost tomorrow."""
    survivors = list[str]()
    for mutant in mutants_of(module, MATCHER[module]):
        if excuse(mutant):
            continue
        # Not a number of cases: some mutants need as many worlds to be noticed in the first place.
        if not is_noticed(mutant, max(20, cases(200))):
            survivors.append(f"{mutant.name}\n{mutant.diff}")

    assert not survivors, "\n\n".join([f"{len(survivors)} survive:", *survivors])


@pytest.mark.slow
@pytest.mark.parametrize("module", MATCHER)
def test_e_what_notices_mutants_passes_the_original(module: str) -> None:
    """Else every mutant would be noticed."""
    engine = Engine()
    try:
        for check in _checks(engine, module, 5):
            with bounded(10):
                check()
    finally:
        engine.close()


def test_e_no_excuse_is_out_of_date() -> None:
    """Each excuse is for one mutant that is made, so that none covers what it was not meant for."""
    excused = [
        each.name
        for module, names in MATCHER.items()
        for each in mutants_of(module, names)
        if excuse(each)
    ]

    assert len(excused) == len(EQUIVALENT), excused
