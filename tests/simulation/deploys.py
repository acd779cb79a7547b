"""Versions of the simulation's app as packages, and what must hold of them at each commit.

Source: the guarantees of a deploy: the version in force is a function of the commit timestamp.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from attrs import define, evolve, field

from flow_backend.functions.package import package_of, zip_package
from tests.simulation.app import Row, Tables, in_force
from tests.simulation.faults import Faults, choose_faults

PACKAGE: Final = "simapp"
_SOURCE: Final = Path(__file__).parent / PACKAGE
_NAME: Final = "tests.simulation.simapp"
SORTS: Final = ("plain", "indexed", "numbers", "misfit", "broken")
"""The sorts of versions: as the first one; with indexes, a field and a table more; with another
type of marks; with a type that no document fits; with code that cannot be imported."""

_EXTRAS: Final = '''"""A table more."""
from flow_backend import Document, Index, MutationCtx, document


@document("extras")
class Extra(Document):
    token: str
    by_token = Index("token")


def add_extra(ctx: MutationCtx, token: str) -> bool:
    """Write a row of it."""
    ctx.db.insert(Extra(token=token))
    return True
'''
_CHANGES: Final[Mapping[str, Mapping[str, Sequence[tuple[str, str]]]]] = {
    "plain": {},
    "indexed": {
        "schema.py": (
            (
                '    by_list = Index("list", "token")',
                '    by_list = Index("list", "token")\n    by_token = Index("token")',
            ),
            (
                '    by_owner = Index("owner")',
                '    stars: int = 0\n    by_owner = Index("owner")\n    by_stars = Index("stars")',
            ),
        ),
    },
    "numbers": {"v.py": (("    value: str\n", "    value: int\n"), ('value="m"', "value=1"))},
    "misfit": {"schema.py": (("    token: str\n    version", "    token: int\n    version"),)},
    "broken": {"v.py": (("import add_extra", "import add_extra, no_such_name"),)},
}


def _files(serial: int, sort: str) -> dict[str, bytes]:
    texts = {each.name: each.read_text() for each in sorted(_SOURCE.glob("*.py"))}
    texts["number.py"] = f'"""Which version this is."""\n\nNUMBER = {serial}\n'
    if sort == "indexed":
        texts["extras.py"] = _EXTRAS
    for name, changes in _CHANGES[sort].items():
        for before, after in changes:
            assert texts[name].count(before) == 1, (name, before)
            texts[name] = texts[name].replace(before, after)
    return {
        f"{PACKAGE}/{name}": text.replace(_NAME, PACKAGE).encode() for name, text in texts.items()
    }


@cache
def package(serial: int, sort: str) -> bytes:
    """Give a version as a zip; its code knows its serial number."""
    return zip_package(package_of(PACKAGE, _files(serial, sort)))


def deploy_faults(seed: int) -> Faults:
    """Choose faults for a world with deploys: those of any world, or none but the deploys."""
    faults, random = choose_faults(Random(seed)), Random(f"deploys {seed}")
    deploys = random.randrange(1, 5)
    if random.random() < 0.2:
        return Faults(
            people=faults.people,
            steps=faults.steps,
            identities=faults.identities,
            actions=faults.actions,
            slow_work=faults.slow_work,
            deploys=deploys,
        )
    return evolve(
        faults,
        deploys=deploys,
        deploy_kills=random.choice((0.0, 0.3, 0.6)),
    )


class _OnDisk:
    """The package that a server finds on its disk: a folder that goes with this process."""

    folder: "tempfile.TemporaryDirectory[str] | None" = None


def put_on_disk() -> None:
    """Put the first version where Python finds it."""
    if _OnDisk.folder is None:
        _OnDisk.folder = tempfile.TemporaryDirectory(prefix="flow-simapp-")
        for path, content in _files(0, "plain").items():
            file = Path(_OnDisk.folder.name, path)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
        sys.path.append(_OnDisk.folder.name)


_OPEN: Final = frozenset({"checking", "building"})
_NEXT: Final[Mapping[str, frozenset[str]]] = {
    "none": frozenset({"checking", "active"}),
    "checking": frozenset({"building", "ready", "refused", "failed", "active"}),
    "building": frozenset({"active", "refused", "failed"}),
    "active": frozenset({"past"}),
}
_CUT: Final = "commit log was cut"


def _fits(marks: Sequence[Row], sort: str) -> bool:
    wanted: type | tuple[type, ...] = (int, float) if sort == "numbers" else str
    return all(isinstance(mark["value"], wanted) for mark in marks)


@define(eq=False)
class DeploysOracle:
    """Checks each state of the database against the one before, and the last one as a whole.

    Attributes:
        excused: versions that marks did not fit at some moment while they were looked at.
        switches: how often another version has come into force.
    """

    excused: set[int] = field(factory=set[int])
    switches: int = 0
    _rows: dict[int, Row] = field(factory=dict[int, Row])
    _applied: int = 0
    _force: tuple[int, str] = (0, "plain")

    def look(self, tables: Tables) -> None:
        """Look at one more committed state."""
        rows: dict[int, Any] = {int(float(str(row["number"]))): row for row in _numbered(tables)}
        force = in_force(tables)
        applied = tables["applied"][self._applied :]
        allowed = {self._force[0], force[0]}
        wrong = [row for row in applied if row["version"] not in allowed]
        assert not wrong, f"{force} is in force, and what was written says otherwise: {wrong}"
        if force != self._force:
            self.switches += 1
            # A switch is a commit of its own.
            assert not applied, f"{force} came into force with {applied}"
        for row in tables["stamps"]:
            told: Any = row["numbers"]
            assert len(set(told)) == 1, f"a call mixes versions: {row}"
        assert _fits(tables["marks"], force[1]), f"{force} is in force with {tables['marks']}"
        if "extras" in tables:
            there = sum(bool(row["extra"]) for row in tables["stamps"])
            assert len(tables["extras"]) == there, f"{tables['extras']} of {there}"
        for number, row in rows.items():
            self._step(number, row, tables, rows)
        gone = self._rows.keys() - rows.keys()
        assert not gone, f"versions are forgotten: {gone}"
        active = [number for number, row in rows.items() if row["state"] == "active"]
        assert len(active) <= 1, f"two versions are active: {active}"
        self._rows, self._applied, self._force = rows, len(tables["applied"]), force

    def _step(self, number: int, row: Row, tables: Tables, rows: Mapping[int, Row]) -> None:
        before, now = self._rows.get(number), str(row["state"])
        was = "none" if before is None else str(before["state"])
        sort = sort_of(row, rows)
        if (now in _OPEN or was in _OPEN) and not _fits(tables["marks"], sort):
            self.excused.add(number)
        if now == was:
            return
        assert now in _NEXT.get(was, frozenset()), f"version {number} was {was} and is {now}"
        if now == "active":
            assert sort not in {"misfit", "broken"}, f"{row} is in force"
        if now == "refused":
            is_right = sort in {"misfit", "broken"} or number in self.excused
            problems: Any = row["problems"]
            is_right |= any(each["kind"] == "storage" or _CUT in each["text"] for each in problems)
            assert is_right, f"refused without a reason: {row}"
        if now in {"refused", "failed"}:
            assert row["problems"], f"nobody says why: {row}"

    def check(self, tables: Tables, *, calm: bool) -> Mapping[str, int]:
        """Check what all versions have come to. Returns: how many of each sort."""
        came_to: dict[str, int] = {}
        rows: dict[int, Row] = {int(float(str(row["number"]))): row for row in _numbered(tables)}
        for number, row in rows.items():
            state = str(row["state"])
            assert state not in _OPEN, f"version {number} is {state} for ever: {row}"
            is_hindered = state == "failed" or "storage" in str(row["problems"])
            assert not calm or not is_hindered, f"nothing was in the way of {row}"
            said = f"version {sort_of(row, rows)}: {state}"
            came_to[said] = came_to.get(said, 0) + 1
            if row["origin"] == "rollback":
                said = f"a rollback: {state}"
                came_to[said] = came_to.get(said, 0) + 1
        assert [row for row in rows.values() if row["state"] == "active"], rows
        came_to["switches"] = self.switches
        return came_to


def _numbered(tables: Tables) -> list[Row]:
    return sorted(tables["_deployments"], key=lambda row: float(str(row["number"])))


def sort_of(row: Row, rows: Mapping[int, Row]) -> str:
    """Give the sort of a version; a rollback is of the sort that it brings back."""
    if row["restores"] is not None:
        row = rows[int(float(str(row["restores"])))]
    return str(row["message"]).partition(" ")[2] or "plain"
