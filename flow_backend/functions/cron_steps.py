"""What the server does with crons in one transaction: keep their rows, start a run."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

import orjson
from attrs import frozen

from flow_backend.errors import AppDefinitionError, InvalidArguments
from flow_backend.functions.cron_times import Interval, Schedule
from flow_backend.functions.crons import Missed
from flow_backend.functions.function import Kind
from flow_backend.functions.job_steps import Run
from flow_backend.functions.jobs import NewJob, add_job, find_job
from flow_backend.functions.registry import BoundApp
from flow_backend.functions.seed import Seed
from flow_backend.schema.ids import encode_id
from flow_backend.schema.system import CronJob, JobRuns
from flow_backend.storage.base import (
    Done,
    IndexBounds,
    Reader,
    Refused,
    StoredRow,
    TableName,
    Transaction,
)
from flow_backend.values.value import JsonValue

CRONS: Final = TableName(CronJob.__table__)
LATE_MS: Final = 60_000.0
"""A run that comes later than this was missed."""

_MS_A_DAY: Final = 86_400_000

_Fields = dict[str, JsonValue]


@frozen
class BoundCron:
    """A cron whose function is known and whose arguments fit; they are in wire form."""

    name: str
    path: str
    runs: JobRuns
    args: JsonValue
    schedule: Schedule
    missed: Missed


def bound_crons(app: BoundApp) -> Mapping[str, BoundCron]:
    """Look whether the app's crons can be run.

    Raises: AppDefinitionError, with the place of the declaration.
    """
    found: dict[str, BoundCron] = {}
    for name, cron in app.app.crons.items():
        path = cron.function.path
        contract = app.contracts.get(path)
        if contract is None:
            raise AppDefinitionError(
                f"{cron.place}: cron {name!r} runs {cron.function!r}, which stands in no module of "
                "the app"
            )
        try:
            args = contract.wire_arguments(cron.args)
            contract.arguments(args)
        except InvalidArguments as error:
            raise AppDefinitionError(f"{cron.place}: cron {name!r}: {error}") from None
        runs: JobRuns = "mutation" if cron.function.kind is Kind.MUTATION else "action"
        found[name] = BoundCron(name, path, runs, args, cron.schedule, cron.missed)
    return found


def has_crons(reader: Reader) -> bool:
    """Say whether any are kept, of this app or of what it was before."""
    return any(True for _ in reader.scan(IndexBounds(CRONS)))


@frozen
class KeepCrons:
    """Make the rows those of the crons that are declared. Gives the next instant of each.

    One that is as it was keeps its next instant: its name, schedule, function and arguments. One
    that is new or another begins anew, and what is no longer declared goes.
    """

    crons: Sequence[BoundCron]
    seed: int

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Do it; see :class:`flow_backend.functions.job_steps.Step`."""
        del run
        seed, now = Seed(self.seed), transaction.now_ms
        rows = {
            str(_fields(row)["name"]): row for row in list(transaction.scan(IndexBounds(CRONS)))
        }
        upcoming: dict[str, float] = {}
        for cron in self.crons:
            row = rows.pop(cron.name, None)
            before = None if row is None else _fields(row)
            said: _Fields = {
                "name": cron.name,
                "function": cron.path,
                "args": cron.args,
                "schedule": cron.schedule.text,
            }
            if row is None or before is None:
                self._insert(transaction, seed, {**said, "next": cron.schedule.first(now)})
                upcoming[cron.name] = cron.schedule.first(now)
                continue
            same = all(before[key] == value for key, value in said.items())
            instant = _next(cron.schedule, before, now) if same else cron.schedule.first(now)
            if not same or instant != before["next"]:
                transaction.replace(CRONS, row, {**before, **said, "next": instant})
            upcoming[cron.name] = instant
        for row in rows.values():
            transaction.delete(CRONS, row)
        return Done(orjson.dumps(upcoming))

    def _insert(self, transaction: Transaction, seed: Seed, fields: _Fields) -> None:
        drawn = seed.internal_id(int(transaction.now_ms // _MS_A_DAY))
        ident = encode_id(transaction.table_number(CRONS), drawn)
        created = transaction.next_creation_time()
        row: _Fields = {"_id": ident, "_creationTime": created, **fields, "ran": None, "job": None}
        transaction.insert(CRONS, ident, row)


def _next(schedule: Schedule, before: _Fields, now: float) -> float:
    """Give when a cron that is unchanged comes round next: by today's rules of its zone."""
    instant, ran = cast("float", before["next"]), cast("float | None", before["ran"])
    if isinstance(schedule, Interval) or instant <= now:
        return instant
    # A clock that was set back must not bring again what has been.
    return schedule.after(instant, now if ran is None else max(now, ran))


Ticked = Literal["started", "busy", "missed", "early"]


@frozen
class TickCron:
    """Start a cron's run and move it to its next instant, in one: so no instant has two.

    Source: the guarantees, F5.
    """

    cron: BoundCron
    seed: int

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Do it; see :class:`flow_backend.functions.job_steps.Step`."""
        del run
        cron, now = self.cron, transaction.now_ms
        bounds = IndexBounds(CRONS, "by_name", prefix=(cron.name,))
        row = next(iter(list(transaction.scan(bounds))), None)
        if row is None:
            return ticked("early", None)
        fields = _fields(row)
        due = cast("float", fields["next"])
        if due > now or not self._is_of(fields):
            return ticked("early", due)
        after = cron.schedule.after(due, now)
        became: Ticked = "started"
        job = cast("str | None", fields["job"])
        if cron.missed == "skip" and now - due > LATE_MS:
            became = "missed"
        elif job is not None and _runs(transaction, job):
            became = "busy"
        else:
            new = NewJob(path=cron.path, args=cron.args, due=due, cron=cron.name, runs=cron.runs)
            job = add_job(transaction, Seed(self.seed), new)
        transaction.replace(CRONS, row, {**fields, "next": after, "ran": due, "job": job})
        return ticked(became, after)

    def _is_of(self, fields: _Fields) -> bool:
        """Say whether the row is still this cron's: another version may have come in between."""
        cron = self.cron
        said = (cron.path, cron.args, cron.schedule.text)
        return (fields["function"], fields["args"], fields["schedule"]) == said


def ticked(became: Ticked, instant: float | None) -> Done:
    """Give a tick's result."""
    return Done(orjson.dumps([became, instant]))


def read_ticked(result: Done) -> tuple[Ticked, float | None]:
    """Read a tick's result: what became of the run, and the next instant."""
    became, instant = orjson.loads(result.result)
    return became, instant


def _runs(transaction: Transaction, ident: str) -> bool:
    job = find_job(transaction, ident)
    return job is not None and job.kind in {"pending", "inProgress"}


def _fields(row: StoredRow) -> _Fields:
    return cast("dict[str, Any]", orjson.loads(row[3]))
