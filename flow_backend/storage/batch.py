"""What a batch of mutations has done while nothing of it is on disk yet."""

from collections.abc import Iterable, Sequence

from attrs import define, field

from flow_backend.schema.table import RowKeys
from flow_backend.storage.base import Outcome, RequestKey, TableName, Write
from flow_backend.storage.commit_log import LogRow
from flow_backend.storage.request_records import Record
from flow_backend.storage.transaction import Change
from flow_backend.values.timestamp import CommitTs

_Effect = tuple[RowKeys | None, RowKeys | None]
"""The keys of a row before a batch and after it."""


@define
class Batch:
    """What a batch has done so far; nothing of it is on disk yet."""

    recorded: dict[RequestKey, Outcome] = field(factory=dict[RequestKey, Outcome])
    records: list[Record] = field(factory=list[Record])
    log: list[LogRow] = field(factory=list[LogRow])
    effects: dict[TableName, dict[str, _Effect]] = field(
        factory=dict[TableName, dict[str, _Effect]]
    )

    def add(self, ts: CommitTs, changes: Sequence[Change]) -> None:
        """Take over what one mutation wrote; a row that it wrote twice counts once."""
        for table, row_id, old, old_raw, new, new_raw in _merged(changes):
            if old is None and new is None:
                continue
            self.log.append((ts, table.number, row_id, old_raw, new_raw))
            effects = self.effects.get(table.name)
            if effects is None:
                effects = self.effects[table.name] = {}
            earlier = effects.get(row_id)
            effects[row_id] = (old if earlier is None else earlier[0], new)

    def writes(self) -> dict[TableName, tuple[Write, ...]]:
        """Give what was written, by table; what was added and deleted again is not."""
        writes = {
            name: tuple(
                [
                    Write(row_id, before, after)
                    for row_id, (before, after) in effects.items()
                    if before is not None or after is not None
                ]
            )
            for name, effects in self.effects.items()
        }
        return {name: rows for name, rows in writes.items() if rows}


def _merged(changes: Sequence[Change]) -> Iterable[Change]:
    """Give one change for each row, from its first before to its last after."""
    if len(changes) < 2:
        return changes
    rows = dict[tuple[int, str], Change]()
    for change in changes:
        key = change[0].number, change[1]
        earlier = rows.get(key)
        rows[key] = change if earlier is None else (*earlier[:4], *change[4:])
    return rows.values()


def grows(changes: Sequence[Change]) -> bool:
    """Say whether documents take more room after these changes than before them."""
    return sum(len(after or b"") - len(before or b"") for *_, before, _, after in changes) > 0
