"""What a table makes of a new layout of its rows' keys, said out: no world has switches yet."""

from flow_backend.actors.mailbox import Mailbox
from flow_backend.actors.messages.calls import LiveQueryId
from flow_backend.actors.messages.to_query import Invalidated
from flow_backend.actors.messages.to_table import NewLayout, Subscribe, TableMessage, TableWrites
from flow_backend.actors.table import TableActor
from flow_backend.functions.read_set import ReadRange
from flow_backend.storage.base import TableName, Write
from flow_backend.values.timestamp import CommitTs

BEFORE, AT, AFTER = (CommitTs(ts) for ts in (3, 5, 7))
TABLE = TableName("things")
# An index that the new layout has not, and one that it has.
OLD, NEW = (ReadRange(0, b"k", b"l"), ReadRange(2, b"k", b"l")), (ReadRange(0, b"k", b"l"),)
ROW = Write("x", None, (b"k", b""))


def check_layout() -> None:
    """A read of before a layout is met by it, and compared no more; all others go on."""
    for first in (True, False):
        table = TableActor(
            name=TABLE, inbox=Mailbox[TableMessage](9), queries=Mailbox[Invalidated](9)
        )
        told = [
            Subscribe(LiveQueryId(1), OLD, BEFORE, 1),
            Subscribe(LiveQueryId(2), NEW, AT, 2),
            Subscribe(LiveQueryId(3), NEW, AFTER, 3),
        ]
        messages = [*told, NewLayout(AT)] if first else [NewLayout(AT), *told]
        assert _met(table, *messages) == {1: BEFORE}
        assert table.ts == AT
        assert _met(table, TableWrites(CommitTs(9), (ROW,))) == {2: AT, 3: AFTER}


def _met(table: TableActor, *messages: TableMessage) -> dict[int, CommitTs]:
    met = dict[LiveQueryId, CommitTs]()
    for message in messages:
        table._handle(message, met)
    return {int(query): ts for query, ts in met.items()}
