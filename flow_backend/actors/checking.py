"""The check of all stored documents against another version, beside what serves."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

import orjson
import trio
from attrs import asdict, field

from flow_backend.errors import CheckFailed
from flow_backend.functions.fit import FitCheck, Misfits
from flow_backend.functions.fit_process import FitTask, found_of
from flow_backend.functions.registry import BoundApp
from flow_backend.records import frozen
from flow_backend.runtime import Runtime, Worker
from flow_backend.storage.base import IndexBounds, Looking, Reader, Storage, TableName

_PROCESS_FROM: Final = 20_000
"""So many documents are worth the start of a process."""

_SECONDS_MAX: Final = 1_800.0
_FEW: Final = 1_000
_ROUNDS_MAX: Final = 8
_LAST_LINES: Final = 3
_COMPLAINT_BYTES: Final = 8_192


@frozen
class Checked:
    """What was found, up to a place in the commit log."""

    misfits: Misfits
    position: int


@frozen(kw_only=True)
class DocumentCheck:
    """Checks the stored documents of some tables.

    Attributes:
        app: the version that they are to fit.
        fields: those to look at, by table.
        root: the folder that the version's package stands in.
        on_progress: told how many documents are done, and how many there are.
    """

    storage: Storage
    runtime: Runtime
    app: BoundApp
    fields: Mapping[str, tuple[str, ...]]
    root: str
    version: int
    on_progress: Callable[[int, int], None] = field(default=lambda done, total: None)

    async def run(self) -> Checked:
        """Check them all; the writes meanwhile too, but for the last few.

        Raises: CheckFailed.
        """
        worker = self.runtime.worker("check")
        try:
            total = await worker.run(self._count)
            file = self.storage.file
            if file is not None and total >= _PROCESS_FROM:
                checked = await self._in_process(file, total)
            else:
                checked = await worker.run(self._here)
            return await self._catch_up(worker, checked)
        finally:
            worker.close()

    async def catch_up(self, checked: Checked) -> Checked:
        """Check what was written since, but for the last few.

        Raises: CheckFailed.
        """
        worker = self.runtime.worker("check")
        try:
            return await self._catch_up(worker, checked)
        finally:
            worker.close()

    async def _catch_up(self, worker: Worker, checked: Checked) -> Checked:
        for _ in range(_ROUNDS_MAX):
            before = checked.misfits.checked
            checked = await worker.run(partial(self._newer, checked))
            if checked.misfits.checked - before < _FEW:
                break
        return checked

    def rest(self, reader: "_LookingReader", position: int) -> Misfits:
        """Check what was written behind a place in the commit log, as it is now."""
        found = Misfits()
        for table, fields in self.fields.items():
            written = reader.written_since(position, TableName(table))
            if written is None:
                raise CheckFailed(
                    "The commit log was cut while the documents were checked. Deploy again."
                )
            rows = (reader.get(TableName(table), ident) for ident in written)
            pairs = ((row[1], row[3]) for row in rows if row is not None)
            found.take(FitCheck.of(self.app, table, fields).run(pairs))
        return found

    # --- In a thread -----------------------------------------------------------------------------

    def _count(self) -> int:
        snapshot = self.storage.open_snapshot()
        try:
            snapshot.begin()
            return sum(snapshot.count(TableName(table)) for table in self.fields)
        finally:
            snapshot.close()

    def _here(self) -> Checked:
        snapshot, found = self.storage.open_snapshot(), Misfits()
        try:
            snapshot.begin()
            position = snapshot.log_position()
            for table, fields in self.fields.items():
                rows = snapshot.scan(IndexBounds(TableName(table)))
                check = FitCheck.of(self.app, table, fields)
                found.take(check.run((row[1], row[3]) for row in rows))
        finally:
            snapshot.close()
        return Checked(found, position)

    def _newer(self, checked: Checked) -> Checked:
        snapshot = self.storage.open_snapshot()
        try:
            snapshot.begin()
            position = snapshot.log_position()
            checked.misfits.take(self.rest(snapshot, checked.position))
        finally:
            snapshot.close()
        return Checked(checked.misfits, position)

    # --- In a process ----------------------------------------------------------------------------

    async def _in_process(self, file: str, total: int) -> Checked:
        numbers = dict(self.app.table_numbers)
        name = self.app.app.name
        task = FitTask(file, self.root, name, self.version, numbers, dict(self.fields))
        command = [sys.executable, "-m", "flow_backend.functions.fit_process"]
        pipe = subprocess.PIPE
        process = await trio.lowlevel.open_process(command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            with trio.fail_after(_SECONDS_MAX):
                said, complaint = await self._talk(process, orjson.dumps(asdict(task)), total)
        except trio.TooSlowError:
            raise CheckFailed(
                f"The check of {total} documents took longer than {_SECONDS_MAX:g} s."
            ) from None
        finally:
            with trio.CancelScope(shield=True):
                if process.poll() is None:
                    process.kill()
                await process.wait()
        if process.returncode or "position" not in said:
            raise CheckFailed(
                f"The process that checks the documents failed ({process.returncode}): {complaint}"
            )
        return Checked(found_of(said), int(said["position"]))

    async def _talk(
        self, process: trio.Process, task: bytes, total: int
    ) -> tuple[Mapping[str, Any], str]:
        """Give what it said last, and the last lines of its complaints."""
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        complaint = bytearray()

        async def note(stream: trio.abc.ReceiveStream) -> None:
            async for piece in stream:
                complaint.extend(piece)
                del complaint[:-_COMPLAINT_BYTES]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(note, process.stderr)
            with suppress(trio.BrokenResourceError):  # It says why.
                await process.stdin.send_all(task)
                await process.stdin.aclose()
            said = await self._listen(process.stdout, total)
            await process.wait()
        lines = complaint.decode(errors="replace").strip().splitlines()
        return said, " / ".join(lines[-_LAST_LINES:])

    async def _listen(self, output: trio.abc.ReceiveStream, total: int) -> Mapping[str, Any]:
        rest, said = b"", dict[str, Any]()
        async for piece in output:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                said = orjson.loads(line)
                self.on_progress(said["checked"], total)
        return said


class _LookingReader(Reader, Looking, Protocol):
    """A reader that knows what was written of late."""
