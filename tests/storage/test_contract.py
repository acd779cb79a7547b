"""What every engine of storage does, whatever it keeps its rows in."""

from typing import Any

import apsw
import pytest

from flow_backend.errors import DocumentError, InvalidValue, LocalProtocolError
from flow_backend.schema.table import ColumnKind, FieldSpec, IndexSpec, TableSpec
from flow_backend.storage.base import (
    Done,
    IndexBounds,
    InterruptedRead,
    Job,
    Refused,
    RequestKey,
    Storage,
    StoredRow,
    TableName,
    Transaction,
)
from flow_backend.storage.keys import row_keys
from flow_backend.values.encode import to_wire
from flow_backend.values.timestamp import CommitTs
from tests.storage.support import (
    BOARDS,
    NS_PER_MS,
    START_NS,
    TASKS,
    TASKS_SPEC,
    Clock,
    Engine,
    add,
    all_ids,
    change,
    contents,
    ids,
    job,
    read,
    refused_job,
    remove,
    task,
    write_connection,
)


def test_a_row_reads_back_as_its_canonical_bytes(storage: Storage) -> None:
    """The bytes go out to clients as they are stored."""
    storage.writer.commit([job(lambda t: add(t, "one", title="Ä", due_at=5.0))])

    [row] = read(storage, IndexBounds(TASKS))

    assert row[1:3] == ("one", START_NS / NS_PER_MS)
    assert row[3] == (
        b'{"_creationTime":1800000000000.0,"_id":"one","board":"home","column":"todo",'
        b'"due_at":5.0,"key":null,"rank":"a","title":"\xc3\x84"}'
    )
    assert row[4]


def test_a_snapshot_stays_what_it_is(storage: Storage) -> None:
    """All results of a round are those of one timestamp, however many commits come meanwhile."""
    before = storage.writer.commit([job(lambda t: add(t, "one"))])
    snapshot = storage.open_snapshot()

    ts = snapshot.begin()
    after = storage.writer.commit([job(lambda t: add(t, "two"))])

    assert ts == before.ts < after.ts
    assert list(contents(snapshot)) == ["one"]
    assert snapshot.get(TASKS, "two") is None
    snapshot.end()
    snapshot.end()
    assert snapshot.begin() == after.ts
    assert list(contents(snapshot)) == ["one", "two"]
    snapshot.close()


def test_rows_are_not_read_after_their_snapshot(storage: Storage) -> None:
    """What they would give is of another timestamp than the answer says."""
    storage.writer.commit([job(lambda t: [add(t, id) for id in "abc"])])
    snapshot = storage.open_snapshot()
    snapshot.begin()
    begun, never_begun = snapshot.scan(IndexBounds(TASKS)), snapshot.scan(IndexBounds(TASKS))
    next(begun)
    snapshot.end()
    snapshot.begin()

    for scan in (begun, never_begun):
        with pytest.raises(LocalProtocolError, match="after the end"):
            next(scan)

    snapshot.end()
    with pytest.raises(LocalProtocolError, match="between begin"):
        snapshot.get(TASKS, "a")
    with pytest.raises(LocalProtocolError, match="between begin"):
        snapshot.scan(IndexBounds(TASKS))
    snapshot.close()


def test_beginning_twice_is_a_bug(storage: Storage) -> None:
    snapshot = storage.open_snapshot()
    snapshot.begin()

    with pytest.raises(LocalProtocolError, match="twice"):
        snapshot.begin()

    snapshot.close()


def test_a_mutation_sees_its_own_writes(storage: Storage) -> None:
    seen = list[list[str]]()

    def work(transaction: Transaction) -> None:
        add(transaction, "one", column="done")
        add(transaction, "two")
        change(transaction, "two", column="done", rank="0")
        bounds = IndexBounds(TASKS, "by_board", ("home", "done"))
        seen.append(ids(list(transaction.scan(bounds))))
        remove(transaction, "one")
        seen.append(ids(list(transaction.scan(bounds))))

    storage.writer.commit([job(work)])

    assert seen == [["two", "one"], ["two"]]


def test_each_mutation_of_a_batch_gets_a_timestamp_of_its_own(storage: Storage) -> None:
    committed = storage.writer.commit([job(lambda t, n=n: add(t, n)) for n in "abc"])

    stamps = [outcome.ts for outcome in committed.outcomes]
    assert stamps == [START_NS + 1, START_NS + 2, START_NS + 3]
    assert committed.ts == storage.writer.last_ts == stamps[-1]


def test_a_refused_mutation_leaves_nothing(storage: Storage) -> None:
    """Guarantee A3: no write, and no timestamp or creation time that a client could miss."""
    committed = storage.writer.commit(
        [job(lambda t: add(t, "one")), refused_job(lambda t: add(t, "two"))]
    )
    later = storage.writer.commit([job(lambda t: add(t, "three"))])

    assert committed.outcomes[1].result == Refused("no")
    assert committed.outcomes[1].ts is None
    assert all_ids(storage) == ["one", "three"]
    assert [write.id for write in committed.writes[TASKS]] == ["one"]
    assert later.ts == committed.ts + 1


def test_a_batch_that_only_reads_is_no_commit(storage: Storage) -> None:
    before = storage.writer.last_ts

    committed = storage.writer.commit([job(lambda t: None), refused_job(lambda t: add(t, "x"))])

    assert committed.ts == before
    assert committed.outcomes[0].ts == before
    assert not committed.writes


def test_a_recorded_mutation_that_wrote_nothing_is_a_commit(storage: Storage) -> None:
    """Its record must be durable before its answer leaves."""
    before = storage.writer.last_ts

    committed = storage.writer.commit([job(lambda t: None, RequestKey("s", 1))])

    assert committed.ts == committed.outcomes[0].ts == before + 1


def test_an_error_that_is_no_refusal_undoes_the_batch(storage: Storage) -> None:
    def fail(transaction: Transaction) -> None:
        add(transaction, "two")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        storage.writer.commit([job(lambda t: add(t, "one")), job(fail)])

    assert all_ids(storage) == []
    assert storage.writer.commit([job(lambda t: add(t, "one"))]).ts == START_NS + 1


def test_writes_name_the_keys_of_before_and_after(storage: Storage) -> None:
    """Guarantee E2: an update gives the old and the new key of every index."""
    added = storage.writer.commit([job(lambda t: add(t, "one", rank="a"))])
    changed = storage.writer.commit([job(lambda t: change(t, "one", rank="b"))])
    removed = storage.writer.commit([job(lambda t: remove(t, "one"))])

    created_at = START_NS / NS_PER_MS
    old = row_keys(TASKS_SPEC, task("one", created_at, {"rank": "a"}), 1)
    new = row_keys(TASKS_SPEC, task("one", created_at, {"rank": "b"}), 1)
    [insert], [update], [delete] = (c.writes[TASKS] for c in (added, changed, removed))
    assert (insert.id, insert.before, insert.after) == ("one", None, old)
    assert (update.id, update.before, update.after) == ("one", old, new)
    assert (delete.id, delete.before, delete.after) == ("one", new, None)
    assert len(old) == len(TASKS_SPEC.all_indexes)


def test_a_row_that_a_batch_wrote_often_is_one_write(storage: Storage) -> None:
    storage.writer.commit([job(lambda t: add(t, "one", rank="a"))])

    committed = storage.writer.commit(
        [
            job(lambda t: (change(t, "one", rank="b"), change(t, "one", rank="c"))),
            job(lambda t: change(t, "one", rank="d")),
            job(lambda t: add(t, "gone")),
            job(lambda t: remove(t, "gone")),
            job(lambda t: (add(t, "at once"), remove(t, "at once"))),
        ]
    )

    [write] = committed.writes[TASKS]
    created_at = START_NS / NS_PER_MS
    assert write.before == row_keys(TASKS_SPEC, task("one", created_at, {"rank": "a"}), 1)
    assert write.after == row_keys(TASKS_SPEC, task("one", created_at, {"rank": "d"}), 1)


def test_a_nested_part_is_undone_alone(storage: Storage) -> None:
    def work(transaction: Transaction) -> None:
        add(transaction, "kept")
        outer = transaction.savepoint()
        add(transaction, "outer")
        inner = transaction.savepoint()
        remove(transaction, "kept")
        inner.roll_back()
        kept = transaction.savepoint()
        add(transaction, "inner")
        kept.release()
        assert list(contents(transaction)) == ["kept", "outer", "inner"]
        outer.roll_back()
        last = transaction.savepoint()
        change(transaction, "kept", rank="z")
        last.release()

    committed = storage.writer.commit([job(work)])

    assert all_ids(storage) == ["kept"]
    assert [write.id for write in committed.writes[TASKS]] == ["kept"]


def test_savepoints_end_innermost_first(storage: Storage) -> None:
    def work(transaction: Transaction) -> None:
        outer, inner = transaction.savepoint(), transaction.savepoint()
        with pytest.raises(LocalProtocolError, match="innermost first"):
            outer.release()
        inner.release()
        with pytest.raises(LocalProtocolError, match="once each"):
            inner.roll_back()
        outer.release()

    storage.writer.commit([job(work)])


def test_a_transaction_is_dead_after_its_mutation(storage: Storage) -> None:
    """A function that keeps its context could otherwise write into the next one's transaction."""
    kept = list[Transaction]()
    storage.writer.commit([job(kept.append)])

    with pytest.raises(LocalProtocolError, match="had ended"):
        add(kept[0], "late")
    with pytest.raises(LocalProtocolError, match="had ended"):
        kept[0].get(TASKS, "late")


def test_creation_times_only_grow(storage: Storage, clock: Clock) -> None:
    """Also within one transaction, and when the clock is set back."""
    storage.writer.commit([job(lambda t: [add(t, id) for id in "abc"])])
    clock.ns -= 3600 * 1_000_000_000
    storage.writer.commit([job(lambda t: add(t, "d"))])

    rows = read(storage, IndexBounds(TASKS))

    assert ids(rows) == ["a", "b", "c", "d"]
    times = [row[2] for row in rows]
    assert times == sorted(set(times))
    assert times[0] == START_NS / NS_PER_MS
    assert times[-1] - times[0] < 0.01


def test_a_repeated_request_gets_the_recorded_answer(storage: Storage) -> None:
    """Guarantee C1, also for a resend in the very batch, and C2: whatever it asks for now."""
    key = RequestKey("session", 7)
    again = [job(lambda t: add(t, "two"), key), job(lambda t: add(t, "three"), key)]

    first = storage.writer.commit([job(lambda t: add(t, "one"), key, b'"1"'), *again])
    second = storage.writer.commit(again)

    outcome = first.outcomes[0]
    assert (outcome.result, outcome.replayed) == (Done(b'"1"'), False)
    for repeated in (*first.outcomes[1:], *second.outcomes):
        assert (repeated.result, repeated.ts) == (outcome.result, outcome.ts)
        assert repeated.replayed
    assert all_ids(storage) == ["one"]


def test_log_lines_are_recorded(storage: Storage) -> None:
    work = Job(lambda transaction: Done(b"null", ("line [1]", "Ä")), RequestKey("s", "a key"))
    storage.writer.commit([work])

    [outcome] = storage.writer.commit([work]).outcomes

    assert outcome.replayed
    assert outcome.result == Done(b"null", ("line [1]", "Ä"))


def test_a_refused_request_may_run_again(storage: Storage) -> None:
    key = RequestKey("session", 1)
    storage.writer.commit([refused_job(lambda t: add(t, "one"), key)])

    [outcome] = storage.writer.commit([job(lambda t: add(t, "one"), key)]).outcomes

    assert not outcome.replayed
    assert all_ids(storage) == ["one"]


def test_request_keys_of_one_number_and_one_text_differ(storage: Storage) -> None:
    first = storage.writer.commit([job(lambda t: None, RequestKey("s", 1))])
    second = storage.writer.commit([job(lambda t: None, RequestKey("s", "1"))])

    assert not second.outcomes[0].replayed
    assert first.ts < second.ts


def test_a_unique_index_refuses_a_second_row_in_words(storage: Storage) -> None:
    storage.writer.commit(
        [
            job(lambda t: add(t, "one", key="x")),
            job(lambda t: add(t, "other", key="y")),
            job(lambda t: add(t, "elsewhere", board="work", key="x")),
            job(lambda t: (add(t, "none"), add(t, "none too"))),  # Null is no key.
        ]
    )
    words = 'index "by_key" of table "tasks" is unique: document one has the same "board", "key"'

    def collide(transaction: Transaction) -> None:
        with pytest.raises(DocumentError, match=words):
            add(transaction, "two", key="x")
        with pytest.raises(DocumentError, match=words):
            change(transaction, "other", key="x")
        change(transaction, "one", key="x", rank="moved")  # Its own key is not in its way.

    committed = storage.writer.commit([job(collide)])

    assert [write.id for write in committed.writes[TASKS]] == ["one"]


def test_an_id_stands_for_one_row(storage: Storage) -> None:
    def work(transaction: Transaction) -> None:
        add(transaction, "one")
        with pytest.raises(DocumentError, match="document one already"):
            add(transaction, "one")

    committed = storage.writer.commit([job(work)])

    assert len(committed.writes[TASKS]) == 1


def test_a_row_that_is_gone_is_not_written(storage: Storage) -> None:
    """``before`` was just read; else a write from a stale read would pass for a fresh one."""
    storage.writer.commit([job(lambda t: add(t, "one"))])
    [row] = read(storage, IndexBounds(TASKS))

    def work(transaction: Transaction) -> None:
        transaction.delete(TASKS, row)
        for write in (
            lambda: transaction.delete(TASKS, row),
            lambda: transaction.replace(TASKS, row, task("one", row[2])),
        ):
            with pytest.raises(LocalProtocolError, match="since it was read"):
                write()

    storage.writer.commit([job(work)])

    assert all_ids(storage) == []


def test_an_unknown_table_is_named(storage: Storage) -> None:
    def work(transaction: Transaction) -> None:
        with pytest.raises(DocumentError, match='no table "nothing"; the schema has boards, tasks'):
            transaction.get(TableName("nothing"), "x")

    storage.writer.commit([job(work)])


def test_nan_is_refused_in_an_indexed_field(engine: Engine) -> None:
    spec = TableSpec(
        "sizes",
        {"size": FieldSpec("size", ColumnKind.KEY)},
        (IndexSpec("by_size", ("size",)),),
    )
    storage = engine([spec])

    def work(transaction: Transaction) -> None:
        document = {"_id": "a", "_creationTime": 1.0, "size": to_wire(float("nan"))}
        with pytest.raises(InvalidValue, match="NaN"):
            transaction.insert(TableName("sizes"), "a", document)

    assert not storage.writer.commit([job(work)]).writes
    storage.close()


def test_table_numbers_are_those_of_ids(storage: Storage) -> None:
    numbers = list[int]()
    storage.writer.commit([job(lambda t: numbers.append(t.table_number(BOARDS)))])

    assert storage.table_numbers == {TASKS: 10001, BOARDS: 10002}
    assert numbers == [10002]
    assert storage.tables[TASKS] is TASKS_SPEC


def test_a_marker_moves_the_clock_past_what_a_client_has_seen(storage: Storage) -> None:
    """Guarantee D5: after a restored backup no client's time may go back."""
    seen = CommitTs(START_NS + 1_000)

    ts = storage.writer.mark_past(seen)

    assert ts == storage.writer.last_ts == seen + 1
    snapshot = storage.open_snapshot()
    assert snapshot.begin() == ts
    snapshot.close()
    with pytest.raises(LocalProtocolError, match="beyond any"):
        storage.writer.mark_past(CommitTs(2**63 - 1))


def test_an_interrupted_read_says_so(storage: Storage) -> None:
    """The interrupt comes from another thread; here from the scan's own consumer, mid-way."""
    storage.writer.commit([job(lambda t: [add(t, f"{n:03}") for n in range(100)])])
    snapshot = storage.open_snapshot()
    snapshot.begin()
    scan = snapshot.scan(IndexBounds(TASKS))
    next(scan)

    snapshot.interrupt()

    with pytest.raises(InterruptedRead):
        list(scan)
    assert len(contents(snapshot)) == 100  # The snapshot lives on.
    snapshot.close()


def test_an_interrupted_mutation_takes_nothing_with_it(storage: Storage) -> None:
    def stop(transaction: Transaction) -> Done | Refused:
        add(transaction, "lost")
        scan = transaction.scan(IndexBounds(TASKS))
        next(scan)
        storage.writer.interrupt()
        try:
            next(scan)
        except InterruptedRead:
            return Refused("too long")
        raise AssertionError

    committed = storage.writer.commit([job(lambda t: (add(t, "one"), add(t, "two"))), Job(stop)])

    assert committed.outcomes[1].result == Refused("too long")
    assert all_ids(storage) == ["one", "two"]


def test_rows_may_be_written_while_they_are_scanned(storage: Storage) -> None:
    """The usual loop of a migration; each row is seen once, as long as it does not move on."""
    storage.writer.commit([job(lambda t: [add(t, f"{n:02}", rank="a") for n in range(20)])])
    seen = list[str]()

    def work(transaction: Transaction) -> None:
        row: StoredRow
        for row in transaction.scan(IndexBounds(TASKS)):
            seen.append(row[1])
            change(transaction, row[1], title="seen")
            if len(seen) % 2:
                remove(transaction, row[1])

    storage.writer.commit([job(work)])

    assert seen == [f"{n:02}" for n in range(20)]
    assert all_ids(storage) == seen[1::2]


@pytest.mark.parametrize("writes", [True, False])
def test_an_interrupt_amid_a_get_leaves_no_statement_open(storage: Storage, writes: bool) -> None:
    """A statement left open would hold its snapshot, and in the writer fail each checkpoint."""

    class Struck(BaseException):
        """What strikes a thread between any two calls that it makes."""

    class StruckCursor:
        """A cursor whose statement was executed, and whose rows were never fetched."""

        def __init__(self, cursor: Any) -> None:
            self.cursor = cursor

        def execute(self, *args: Any) -> "StruckCursor":
            self.cursor.execute(*args)
            return self

        def fetchall(self) -> Any:
            raise Struck

        def close(self, force: bool) -> None:
            self.cursor.close(force)

    def get_struck(reader: Any) -> None:
        point = reader._reader._point
        reader._reader._point = StruckCursor(point)
        with pytest.raises(Struck):
            reader.get(TASKS, "one")

    def fail(_: Transaction) -> None:
        raise RuntimeError("This batch fails, so that the writer knows no row any more.")

    storage.writer.commit([job(lambda t: add(t, "one"))])
    with pytest.raises(RuntimeError):
        storage.writer.commit([job(fail)])
    snapshot = storage.open_snapshot()
    if writes:
        # A commit, so that its own end does not do what is to be done here.
        storage.writer.commit([job(lambda t: (add(t, "two"), get_struck(t)))])
    else:
        snapshot.begin()
        get_struck(snapshot)
        snapshot.end()

    write_connection(storage).wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    assert all_ids(storage)[0] == "one"
    snapshot.close()
