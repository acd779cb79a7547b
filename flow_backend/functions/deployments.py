"""Deployments as rows of ``_deployments``: what serves, what did, and what was refused and why."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, cast

import orjson
from attrs import asdict, field

from flow_backend.functions.job_steps import Run
from flow_backend.functions.seed import Seed
from flow_backend.records import frozen
from flow_backend.schema.ids import encode_id
from flow_backend.schema.system import Deployment, DeploymentOrigin
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

DEPLOYMENTS: Final = TableName(Deployment.__table__)
PACKAGES_KEPT: Final = 100
"""So many versions can be brought back; of older ones only the row stays."""

ROWS_KEPT: Final = 1_000
DEV_KEPT: Final = 20
"""Of what ``flow dev`` has pushed at each save, so many stay."""

_FORGET_EACH: Final = 10
OPEN: Final = ("checking", "building")
_MS_A_DAY: Final = 86_400_000

Fields = Mapping[str, JsonValue]


@frozen
class Problem:
    """Why a version was refused.

    Attributes:
        kind: what kind of thing is wrong, for programs, such as ``code`` or ``document``.
        text: what is wrong, where, and what to do.
        table: the table that it is about, if it is about one.
        id: the document.
        path: the field in it.
    """

    kind: str
    text: str
    table: str | None = None
    id: str | None = None
    path: str | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """Give it as it is stored and sent: what does not apply is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@frozen
class AddDeployment:
    """Note that a package came, and give it the next number.

    Deploys go one after the other: one before it that seems to be under way was given up.

    Attributes:
        zipped: the package; None if the database has it.
        restores: the version that it brings back.
    """

    package: str
    digest: str
    zipped: bytes | None = field(repr=False)
    origin: DeploymentOrigin
    author: str = ""
    message: str = ""
    restores: int | None = None
    seed: int = 0

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Do it; see :class:`flow_backend.functions.job_steps.Step`."""
        del run
        newest = next(iter(list(islice(_newest_first(transaction), 1))), None)
        number = 1 if newest is None else number_of(fields_of(newest)) + 1
        _change_all(transaction, OPEN, GIVEN_UP)
        add_row(transaction, self, number)
        return Done(orjson.dumps(number))


def add_row(transaction: Transaction, new: AddDeployment, number: int) -> None:
    """Add a deployment's row, which is being checked."""
    drawn = Seed(new.seed).internal_id(int(transaction.now_ms // _MS_A_DAY))
    ident = encode_id(transaction.table_number(DEPLOYMENTS), drawn)
    if new.zipped is not None:
        transaction.keep_package(new.digest, new.zipped)
    row: dict[str, JsonValue] = {
        "_id": ident,
        "_creationTime": transaction.next_creation_time(),
        "number": float(number),
        "author": new.author,
        "message": new.message,
        "state": "checking",
        "origin": new.origin,
        "package": new.package,
        "digest": new.digest,
        "activated": None,
        "restores": None if new.restores is None else float(new.restores),
        "summary": {},
        "progress": {},
        "problems": [],
    }
    transaction.insert(DEPLOYMENTS, ident, row)


@frozen
class GiveUpDeployments:
    """Note that no deploy is under way: whoever asked for one was told that it came to nothing."""

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Do it; see :class:`flow_backend.functions.job_steps.Step`."""
        del run
        _change_all(transaction, OPEN, GIVEN_UP)
        return Done(b"null")


@frozen
class ChangeDeployment:
    """Note how a deployment goes on: its state, progress, summary or problems."""

    number: int
    fields: Fields

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Do it; see :class:`flow_backend.functions.job_steps.Step`."""
        del run
        row = find_row(transaction, self.number)
        assert row is not None, self.number
        transaction.replace(DEPLOYMENTS, row, {**fields_of(row), **self.fields})
        return Done(b"null")


@frozen
class BeginServing:
    """Note at the start which version serves, and that what was under way has failed.

    A version whose indexes were being built goes on, as that may be the work of hours; unless the
    package on disk has become another one since: that came last.

    Attributes:
        new: the version itself, if it is one that the database does not know.
    """

    number: int
    new: AddDeployment | None

    def __call__(self, transaction: Transaction, run: Run) -> Done | Refused:
        """Do it; see :class:`flow_backend.functions.job_steps.Step`."""
        del run
        _change_all(transaction, self.ends, self.ended)
        # It is asked for again if nobody knows whether it was done.
        if self.new is not None and find_row(transaction, self.number) is None:
            add_row(transaction, self.new, self.number)
            activate(transaction, self.number)
        return Done(b"null")

    @property
    def ends(self) -> Sequence[str]:
        """The states of those that have failed."""
        return ("checking",) if self.new is None else OPEN

    @property
    def ended(self) -> Fields:
        """What their rows then say."""
        return _failed("The server ended before this version was in force.")


def _failed(why: str) -> Fields:
    return {"state": "failed", "problems": [Problem("interrupted", why).as_json()]}


GIVEN_UP: Final = _failed("The server gave up on this version: send it again.")


def _change_all(transaction: Transaction, states: Iterable[str], fields: Fields) -> None:
    for state in states:
        for row in list(transaction.scan(_in_state(state))):
            transaction.replace(DEPLOYMENTS, row, {**fields_of(row), **fields})


def activate(transaction: Transaction, number: int) -> None:
    """Make a deployment the active one; packages that are too old to come back go."""
    for row in list(transaction.scan(_in_state("active"))):
        transaction.replace(DEPLOYMENTS, row, {**fields_of(row), "state": "past"})
    chosen = find_row(transaction, number)
    assert chosen is not None, number
    active: Fields = {"state": "active", "activated": transaction.now_ms}
    transaction.replace(DEPLOYMENTS, chosen, {**fields_of(chosen), **active})
    _forget_old(transaction)
    served = (f for each in _newest_first(transaction) if is_served(f := fields_of(each)))
    transaction.drop_packages({str(each["digest"]) for each in islice(served, PACKAGES_KEPT)})


def _forget_old(transaction: Transaction) -> None:
    """Delete the oldest rows, and those of old saves: there is one for each save."""
    rows = list(islice(_newest_first(transaction), ROWS_KEPT + _FORGET_EACH))
    saves = [row for row in rows[:ROWS_KEPT] if fields_of(row)["origin"] == "dev"]
    for old in (*saves[DEV_KEPT:], *rows[ROWS_KEPT:]):
        # What serves is never old: it came last, or was brought back by a row that did.
        transaction.delete(DEPLOYMENTS, old)


def is_served(fields: Fields) -> bool:
    """Say whether a version serves or has served."""
    return fields["state"] in {"active", "past"}


# --- Looking --------------------------------------------------------------------------------------


def deployments(reader: Reader, most: int, *, served: bool = False) -> Sequence[Fields]:
    """Give the newest deployments, newest first, as they are stored; all, or those that served."""
    found = (fields_of(row) for row in _newest_first(reader))
    return list(islice((each for each in found if not served or is_served(each)), most))


def version_before(reader: Reader) -> int | None:
    """Give the version that served before the one of now, None if there was none.

    What a rollback brought back counts as what it was: one rollback after another goes further back
    each time, and after a deploy the next brings back what that took the place of.
    """
    now = active_deployment(reader)
    if now is None:
        return None
    last = code_of(now)
    earlier = (each for each in map(fields_of, _newest_first(reader)) if number_of(each) < last)
    before = next((each for each in earlier if is_served(each)), None)
    return None if before is None else code_of(before)


def code_of(fields: Fields) -> int:
    """Give the version whose code this one is: its own number, or of what it brought back."""
    restored = fields["restores"]
    return number_of(fields) if restored is None else int(cast("float", restored))


def active_deployment(reader: Reader) -> Fields | None:
    """Give the deployment that serves, None in a database that never had one."""
    row = next(iter(list(reader.scan(_in_state("active")))), None)
    return None if row is None else fields_of(row)


def building_deployment(reader: Reader) -> Fields | None:
    """Give the deployment whose indexes were being built when the server ended, if there is one."""
    row = next(iter(list(reader.scan(_in_state("building")))), None)
    return None if row is None else fields_of(row)


def find_deployment(reader: Reader, number: int) -> Fields | None:
    """Give a deployment, None if there is none of this number."""
    row = find_row(reader, number)
    return None if row is None else fields_of(row)


def number_of(fields: Fields) -> int:
    """Give a deployment's number."""
    return int(cast("float", fields["number"]))


def find_row(reader: Reader, number: int) -> StoredRow | None:
    """Give a deployment's row."""
    bounds = IndexBounds(DEPLOYMENTS, "by_number", prefix=(float(number),))
    return next(iter(list(reader.scan(bounds))), None)


def fields_of(row: StoredRow) -> Fields:
    """Give a row's fields."""
    return cast("dict[str, Any]", orjson.loads(row[3]))


def _in_state(state: str) -> IndexBounds:
    return IndexBounds(DEPLOYMENTS, "by_state", prefix=(state,))


def _newest_first(reader: Reader) -> Iterator[StoredRow]:
    return reader.scan(IndexBounds(DEPLOYMENTS, "by_number"), descending=True)
