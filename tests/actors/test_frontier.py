"""The frontier: silence of a table is never taken for an answer, nor waited for without need."""

from flow_backend.actors.frontier import Frontier
from flow_backend.actors.messages.to_query import Committed, Invalidated
from flow_backend.actors.mutation import BatchSize
from flow_backend.storage.base import TableName
from flow_backend.values.timestamp import CommitTs

T, U = TableName("t"), TableName("u")


def committed(number: int, *tables: TableName) -> Committed:
    return Committed(CommitTs(number), dict.fromkeys(tables, CommitTs(number)))


def compared(table: TableName, number: int, heard: int = 0) -> Invalidated:
    return Invalidated(table, CommitTs(number), {}, heard)


def test_a_commit_waits_for_the_tables_that_it_wrote() -> None:
    frontier = Frontier()
    frontier.notice(committed(1, T, U))
    assert not frontier.is_settled

    frontier.compared(compared(T, 1))
    assert not frontier.is_settled
    frontier.compared(compared(U, 1))

    assert frontier.is_settled
    assert frontier.noticed_ts == 1


def test_a_table_may_have_compared_more_than_was_noticed() -> None:
    frontier = Frontier()
    frontier.compared(compared(T, 2))
    frontier.notice(committed(1, T))
    assert frontier.is_settled

    frontier.notice(committed(2, T))

    assert frontier.is_settled


def test_merged_notices_keep_the_timestamp_of_each_table() -> None:
    """A table that only the older batch wrote will never say more than that one's timestamp."""
    frontier = Frontier()
    frontier.notice(committed(1, T).merged(committed(2, U)))

    frontier.compared(compared(T, 1))
    frontier.compared(compared(U, 2))

    assert frontier.is_settled
    assert frontier.noticed_ts == 2


def test_a_subscription_waits_until_its_table_has_heard_it() -> None:
    frontier = Frontier()
    first, second = frontier.tell(T), frontier.tell(T)

    frontier.compared(compared(T, 0, first))
    assert not frontier.is_settled
    frontier.compared(compared(T, 0, second))

    assert frontier.is_settled


def test_a_lost_table_is_waited_for_no_more_also_for_notices_still_on_their_way() -> None:
    frontier = Frontier()
    frontier.notice(committed(1, T))
    frontier.tell(T)

    frontier.lost(T, CommitTs(2))
    assert frontier.is_settled
    frontier.notice(committed(2, T))

    assert frontier.is_settled
    frontier.notice(committed(3, T))
    assert not frontier.is_settled


def test_a_successor_draws_numbers_that_no_table_has_heard() -> None:
    """Else an old word of a table would settle a new subscription that it has not heard."""
    failed = Frontier()
    last = failed.tell(T)
    successor = failed.successor(CommitTs(5), {T: CommitTs(4)})
    assert successor.is_settled
    assert successor.noticed_ts == 5

    successor.tell(T)
    successor.compared(compared(T, 5, last))

    assert not successor.is_settled


def test_batches_follow_what_mutations_take() -> None:
    """What waited together commits together, but slow ones do not hold back all others."""
    size = BatchSize(64, batch_seconds=0.005)
    for _ in range(50):
        size.took(10, 0.0001)
    assert size.next() == 64

    for _ in range(50):
        size.took(1, 0.02)
    assert size.next() == 1

    for _ in range(100):
        size.took(5, 0.005)
    assert size.next() == 4 or size.next() == 5
