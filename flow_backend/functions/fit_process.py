"""A process that checks many documents: what it computes holds nobody up who has the server's GIL.

It reads a JSON object from its standard input (:class:`FitTask`) and writes a line of JSON now and
then, with how many it has checked, and a last one with what it found.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from attrs import asdict

from flow_backend.functions.fit import FitCheck, Misfit, Misfits
from flow_backend.functions.loader import load_version
from flow_backend.records import frozen
from flow_backend.storage.read_only import open_read_only

_TOLD_EVERY: Final = 20_000


@frozen
class FitTask:
    """What the process is to do.

    Attributes:
        database: the file.
        root: the folder that holds the package.
        numbers: what the ids of each table carry.
        fields: those to check, by table.
    """

    database: str
    root: str
    package: str
    version: int
    numbers: Mapping[str, int]
    fields: Mapping[str, tuple[str, ...]]


def run_task(task: FitTask) -> Iterator[Mapping[str, Any]]:
    """Do it: give how far it is, and at the end what was found."""
    app = load_version(Path(task.root), task.package, task.version).bind(task.numbers)
    found = Misfits()
    with open_read_only(task.database) as reading:
        position = reading.log_position()
        for table, fields in task.fields.items():
            check, rows = FitCheck.of(app, table, tuple(fields)), reading.documents(table)
            part = Misfits(_TOLD_EVERY)
            while part.checked == _TOLD_EVERY:
                part = check.run(_some(rows))
                found.take(part)
                yield {"checked": found.checked}
    first = [asdict(each) for each in found.first]
    yield {"position": position, "checked": found.checked, "count": found.count, "first": first}


def found_of(said: Mapping[str, Any]) -> Misfits:
    """Read what the last line says."""
    return Misfits(said["checked"], said["count"], [Misfit(**each) for each in said["first"]])


def _some(rows: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    for _, row in zip(range(_TOLD_EVERY), rows, strict=False):
        yield row


def main() -> None:
    """Run as a process."""
    task = FitTask(**orjson.loads(sys.stdin.buffer.read()))
    for line in run_task(task):
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
