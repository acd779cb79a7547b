"""Random parts of an index: the rows that SQL gives are those whose keys lie in the key range."""

from random import Random
from typing import Any

from flow_backend.schema.table import BY_ID, TableSpec
from flow_backend.storage.base import IndexBounds, StoredRow
from flow_backend.storage.keys import bounds_range, position_of, row_keys
from flow_backend.values.encode import to_wire
from tests.histories.chain import THINGS, Engine
from tests.histories.shelf import INDEXES, VALUES, Op, Program, random_fields

ROWS = 40


def fill(engine: Engine, random: Random) -> list[StoredRow]:
    """Put rows into an empty table. Returns: them all."""
    wanted, number = ROWS, 0
    while wanted:
        number += 1
        fields = random_fields(random, [])
        if random.random() < 0.7:
            fields["size"] = None  # Of a pair with a null there may be many.
        outcomes, _, writes = engine.commit([Program((Op("insert", number, fields),))])
        assert len(outcomes) == 1
        wanted -= len(writes)
    engine.snapshot.begin()
    try:
        return list(engine.snapshot.scan(IndexBounds(THINGS)))
    finally:
        engine.snapshot.end()


def _random_bounds(random: Random, spec: TableSpec, rows: list[StoredRow]) -> IndexBounds:
    index = random.choice((*INDEXES, BY_ID))
    names = INDEXES.get(index, ())
    fixed = random.randrange(len(names) + 1)
    prefix: tuple[Any, ...] = tuple(to_wire(random.choice(VALUES[n])) for n in names[:fixed])
    lower: tuple[Any, ...] = ()
    upper: tuple[Any, ...] = ()
    if fixed < len(names):
        values = VALUES[names[fixed]]
        lower = (to_wire(random.choice(values)),) if random.random() < 0.5 else ()
        upper = (to_wire(random.choice(values)),) if random.random() < 0.5 else ()

    def place() -> Any:
        if random.random() < 0.4:
            return None
        one, other = random.choices(rows, k=2)
        position = list(position_of(spec, index, one))
        if random.random() < 0.4:
            # No row's place: a row that stood there may have been changed since.
            part = random.randrange(len(position))
            position[part] = position_of(spec, index, other)[part]
        if random.random() < 0.2:
            del position[random.randrange(len(position)) :]
        return tuple(position)

    return IndexBounds(THINGS, index, prefix, lower, upper, place(), place())


def check_spans(engine: Engine, seed: int, count: int = 200) -> None:
    """Compare SQL with keys for random bounds.

    Raises: AssertionError.
    """
    random = Random(seed)
    engine.clear()
    rows = fill(engine, random)
    spec = engine.storage.tables[THINGS]
    keys = {row[1]: row_keys(spec, spec.read(row[3]), row[0]) for row in rows}
    places = {each.name: place for place, each in enumerate(spec.all_indexes)}
    engine.snapshot.begin()
    try:
        for _ in range(count):
            bounds, descending = _random_bounds(random, spec, rows), random.random() < 0.5
            start, stop = bounds_range(spec, bounds, descending)
            place = places[bounds.index]
            right = sorted(
                (key[place], ident)
                for ident, key in keys.items()
                if start <= key[place] and (stop is None or key[place] < stop)
            )
            if descending:
                right.reverse()
            found = [row[1] for row in engine.snapshot.scan(bounds, descending=descending)]
            assert found == [ident for _, ident in right], (bounds, descending)
    finally:
        engine.snapshot.end()
