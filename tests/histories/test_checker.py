"""The checker is checked: it finds each anomaly of a history made by hand, and no other."""

from random import Random

import pytest
from attrs import evolve

from tests.effort import SEED, cases
from tests.histories.checker import Append, Read, Transaction, check, check_timestamps


def txn(
    name: str,
    *operations: Append | Read,
    status: str = "ok",
    at: tuple[float, float] | None = None,
    process: str | None = None,
) -> Transaction:
    began, ended = at or (float("-inf"), float("inf"))
    return Transaction(
        name,
        process or name,
        operations,
        status,
        began,
        ended,  # type: ignore[arg-type]
    )


def append(name: str, value: int) -> Append:
    return Append(name, value)


def read(name: str, *values: int) -> Read:
    return Read(name, values)


ANOMALIES = {
    "G0": [
        txn("one", append("x", 1), append("y", 2)),
        txn("two", append("x", 3), append("y", 4)),
        txn("look", read("x", 1, 3), read("y", 4, 2)),
    ],
    "G1a": [txn("one", append("x", 1), status="failed"), txn("two", read("x", 1))],
    "G1b": [txn("one", append("x", 1), append("x", 2)), txn("two", read("x", 1))],
    "G1c": [
        txn("one", append("x", 1), read("y", 2)),
        txn("two", append("y", 2), read("x", 1)),
    ],
    "G-single": [
        txn("one", append("x", 1), append("y", 2)),
        txn("skewed", read("x", 1), read("y")),
        txn("look", read("x", 1), read("y", 2)),
    ],
    "G2": [
        txn("one", read("x"), append("y", 1)),
        txn("two", read("y"), append("x", 2)),
        txn("look", read("x", 2), read("y", 1)),
    ],
    "G-single-session": [
        txn("write", append("x", 1), process="p"),
        txn("look", read("x"), process="p"),
        txn("later", read("x", 1)),
    ],
    "G1c-session": [
        txn("look", read("x", 1), process="p"),
        txn("write", append("x", 1), process="p"),
    ],
    "G-single-real-time": [
        txn("write", append("x", 1), at=(0, 1)),
        txn("stale", read("x"), at=(2, 3)),
        txn("later", read("x", 1), at=(4, 5)),
    ],
    "G1c-real-time": [
        txn("look", read("x", 1), at=(0, 1)),
        txn("write", append("x", 1), at=(2, 3)),
    ],
    "G0-real-time": [
        txn("one", append("x", 1), at=(2, 3)),
        txn("two", append("x", 2), at=(0, 1)),
        txn("look", read("x", 1, 2), at=(0, 9)),
    ],
    "internal": [txn("one", append("x", 1), read("x"))],
    "garbage": [txn("one", read("x", 7))],
    "duplicate": [txn("one", append("x", 1)), txn("two", read("x", 1, 1))],
    "incompatible order": [
        txn("one", append("x", 1)),
        txn("two", append("x", 2)),
        txn("three", read("x", 1, 2)),
        txn("four", read("x", 2)),
    ],
}


@pytest.mark.parametrize("kind", ANOMALIES)
def test_each_anomaly_is_found_and_called_by_its_name(kind: str) -> None:
    found = check(ANOMALIES[kind])

    assert kind in [each.kind for each in found], [str(each) for each in found]


def test_a_cycle_can_be_read() -> None:
    [found] = check(ANOMALIES["G1c"])

    assert (
        str(found) == ("G1c: two → one (wr, y: 2 is read); one → two (wr, x: 1 is read)")
        or str(found) == "G1c: one → two (wr, x: 1 is read); two → one (wr, y: 2 is read)"
    )


@pytest.mark.parametrize(
    "history",
    [
        [],
        [txn("one", append("x", 1), read("x", 1), append("x", 2), read("x", 1, 2))],
        [txn("lost", append("x", 1), status="unknown"), txn("look", read("x", 1))],
        [txn("lost", append("x", 1), status="unknown"), txn("look", read("x"))],
        # Two that overlap stand in either order.
        [txn("write", append("x", 1), at=(0, 3)), txn("look", read("x"), at=(2, 4))],
    ],
)
def test_what_a_serial_system_may_show_passes(history: list[Transaction]) -> None:
    assert check(history) == []


def serial(random: Random, count: int = 30) -> list[Transaction]:
    """Run transactions one after the other, at one moment within their time; then mix them."""
    lists: dict[str, tuple[int, ...]] = {}
    history = list[Transaction]()
    free = [0.0] * 5
    value = 0
    for number in range(count):
        at = float(number + 1)
        process = random.randrange(5)
        operations = list[Append | Read]()
        is_query = random.random() < 0.3
        for _ in range(random.randrange(1, 5)):
            name = random.choice("xyz")
            if random.random() < 0.5 or is_query:
                operations.append(Read(name, lists.get(name, ())))
            else:
                value += 1
                operations.append(Append(name, value))
                lists[name] = (*lists.get(name, ()), value)
        began = free[process] + random.random() * (at - free[process])
        ended = free[process] = at + random.random()
        history.append(
            Transaction(
                f"t{number}",
                f"p{process}",
                tuple(operations),
                "ok",
                began,
                ended,
                number + 1,
                is_query,
            )
        )
    whole = tuple(Read(name, values) for name, values in lists.items())
    return [*history, Transaction("end", "end", whole, "ok", 99, 99, 10**6, is_query=True)]


def broken(random: Random, history: list[Transaction]) -> list[Transaction] | None:
    """Let one read show one append less or one more than it must; None if none can."""
    readers = [
        (number, place)
        for number, each in enumerate(history[:-1])
        for place, operation in enumerate(each.operations)
        if isinstance(operation, Read) and len(each.operations) == 1 and operation.values
    ]
    if not readers:
        return None
    number, place = random.choice(readers)
    each = history[number]
    operation = each.operations[place]
    assert isinstance(operation, Read)
    stale = Read(operation.list, operation.values[:-1])
    changed = (*each.operations[:place], stale, *each.operations[place + 1 :])
    return [*history[:number], evolve(each, operations=changed), *history[number + 1 :]]


@pytest.mark.slow
def test_random_serial_histories_pass_and_stale_ones_do_not() -> None:
    """The sharper check sees every stale read; the graph sees those that no order explains."""
    seen_by_graph = stale = 0
    for seed in range(SEED, SEED + cases(500, 20_000)):
        random = Random(seed)
        history = serial(random)

        assert check(history) == [], seed
        assert check_timestamps(history) == [], seed

        changed = broken(random, history)
        if changed is not None:
            stale += 1
            assert check_timestamps(changed), seed
            seen_by_graph += bool(check(changed))

    assert seen_by_graph > stale / 4, (seen_by_graph, stale)
