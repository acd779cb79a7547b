"""What a version that takes the place of another does to the data, and what must be agreed to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import field

from flow_backend.functions.difference import Difference, difference
from flow_backend.functions.job_steps import BY_STATE
from flow_backend.functions.jobs import JOBS, Job, read_job, state_of
from flow_backend.functions.registry import App
from flow_backend.records import frozen
from flow_backend.schema.system import JobKind
from flow_backend.storage.base import IndexBounds, Snapshot, TableName
from flow_backend.values.value import JsonValue

LARGE_DOCUMENTS: Final = 10_000
"""An index over so many documents does not go unless somebody agrees: it takes long to fill."""

_OPEN: Final[tuple[JobKind, ...]] = ("pending", "inProgress")


@frozen
class Plan:
    """What a version changes.

    Attributes:
        fills: the indexes that must be filled, with the number of documents.
        gone: the tables and large indexes that go, with the number of documents.
        jobs: the functions that scheduled jobs name and the version does not have, with the number
            of jobs.
    """

    changes: Difference
    fills: Mapping[str, int] = field(factory=dict[str, int])
    gone: Mapping[str, int] = field(factory=dict[str, int])
    jobs: Mapping[str, int] = field(factory=dict[str, int])

    @property
    def agreements(self) -> Sequence[str]:
        """What somebody must agree to, a sentence or two for each."""
        return (
            *(_gone_text(name, count) for name, count in self.gone.items()),
            *(_jobs_text(name, count) for name, count in self.jobs.items()),
        )

    def as_json(self) -> dict[str, JsonValue]:
        """Give it as it is stored and sent; what is empty is left out."""
        listed: dict[str, JsonValue] = {
            "fill": [{"index": name, "documents": float(n)} for name, n in self.fills.items()],
            "gone": [{"name": name, "documents": float(n)} for name, n in self.gone.items()],
            "jobs": [{"function": name, "jobs": float(n)} for name, n in self.jobs.items()],
        }
        return self.changes.as_json() | {name: each for name, each in listed.items() if each}


def make_plan(old: App, new: App, snapshot: Snapshot) -> Plan:
    """Compare two versions over the data of a snapshot that is open. Slow: it counts documents.

    Raises: AppDefinitionError if the new version cannot be described.
    """
    changes = difference(old, new)
    counts: dict[str, int] = {}

    def count(table: str) -> int:
        if table not in counts:
            counts[table] = snapshot.count(TableName(table))
        return counts[table]

    indexes = changes.indexes
    fills = {
        name: count(table)
        for name in sorted({*indexes.added, *indexes.changed})
        if (table := name.partition(".")[0]) in old.schema.tables
    }
    gone = {name: count(name) for name in changes.tables.removed}
    for name in indexes.removed:
        table = name.partition(".")[0]
        if table in new.schema.tables and count(table) >= LARGE_DOCUMENTS:
            gone[name] = count(table)
    kept = {name: n for name, n in gone.items() if n}
    return Plan(changes, {name: n for name, n in fills.items() if n}, kept, _jobs(new, snapshot))


def _jobs(new: App, snapshot: Snapshot) -> dict[str, int]:
    """Count the jobs that wait or run and whose function is gone, or is of another kind."""
    found = Counter[str]()
    for state in _OPEN:
        for row in snapshot.scan(IndexBounds(JOBS, BY_STATE, prefix=(state_of(state),))):
            job = read_job(row)
            if not _can_run(new, job):
                found[job.path] += 1
    return dict(sorted(found.items()))


def _can_run(app: App, job: Job) -> bool:
    function = app.functions.get(job.path)
    return function is not None and function.kind.name.lower() == job.runs


def _gone_text(name: str, count: int) -> str:
    table, _, index = name.partition(".")
    if index:
        return (
            f"The index {name} goes, over {_documents(count)} of {table}. To bring it back means "
            "to fill it anew."
        )
    return (
        f"The table {name} leaves the schema with {_documents(count)}. They stay in the database, "
        "but no function reaches them until the table comes back."
    )


def _jobs_text(path: str, count: int) -> str:
    jobs = "One scheduled job names" if count == 1 else f"{count:,} scheduled jobs name"
    return (
        f"{jobs} {path}, which this version does not have as it was scheduled: each fails when its "
        "time comes. Keep the function until they are done, or cancel them."
    )


def _documents(count: int) -> str:
    return "one document" if count == 1 else f"{count:,} documents"
