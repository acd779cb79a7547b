"""What comes before a version is in force: the documents are checked, large indexes are built."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import trio
from attrs import define

from flow_backend.actors.checking import Checked as DocumentsChecked
from flow_backend.actors.checking import DocumentCheck
from flow_backend.actors.deploy_requests import Problems
from flow_backend.actors.mailbox import Put, Reply
from flow_backend.actors.messages.to_mutation import BuildDone, BuildStep, MutationMessage, NotDone
from flow_backend.errors import CheckFailed, Overloaded, SwitchRefused
from flow_backend.functions.deployments import Fields, Problem
from flow_backend.functions.fit import FitCheck, Misfits, fields_to_check
from flow_backend.functions.registry import BoundApp
from flow_backend.runtime import Runtime
from flow_backend.schema.table import TableSpec
from flow_backend.storage.base import (
    IndexBounds,
    Progress,
    Storage,
    TableName,
    Transaction,
    Writer,
)

_TELL_SECONDS: Final = 1.0
_BUILD_ROWS: Final = 500
"""So many rows take the writer some ms."""

_BUILD_ATTEMPTS: Final = 60
_REST_SECONDS: Final = 0.5


@define
class StoredCheck:
    """A check of the stored documents, and what it has found up to a place in the commit log."""

    check: DocumentCheck
    done: DocumentsChecked

    async def catch_up(self) -> None:
        """Check what was written since, but for the last few, which the switch looks at.

        Raises: Problems if some of it does not fit; the switch looks only at what came later.
        """
        self.done = await self.check.catch_up(self.done)
        if self.done.misfits.count:
            raise Problems(document_problems(self.done.misfits))


def misfits_that_come_back(
    transaction: Transaction, app: BoundApp, before: Collection[TableName]
) -> Misfits:
    """Check the documents of tables that had left the schema, and are in it again.

    Those that were written by the class as it is now need no look.
    """
    found = Misfits()
    for name, types in app.schema.types.items():
        if TableName(name) not in before:
            check = FitCheck.of(app, name, tuple(types))
            rows = transaction.scan(IndexBounds(TableName(name)))
            found.take(check.run((row[1], row[3]) for row in rows if not row[4]))
    return found


def _progress(doing: str, done: int, total: int) -> Fields:
    return {"progress": {"doing": doing, "done": float(done), "of": float(total)}}


def document_problems(misfits: Misfits) -> list[Problem]:
    """Say which documents do not fit: the first of them, and how many there are."""
    problems = [
        Problem("document", each.text, each.table, each.id, each.path) for each in misfits.first
    ]
    if misfits.count > len(problems):
        problems.append(
            Problem(
                "document", f"In all, {misfits.count} documents do not fit; these are the first."
            )
        )
    return problems


@define(kw_only=True)
class Preparation:
    """Prepares what is stored for a version, beside what serves.

    Out:  BuildStep to the MutationActor.

    Attributes:
        change: notes something in a version's row.
    """

    mutations: Put[MutationMessage]
    storage: Storage
    runtime: Runtime
    change: Callable[[int, Fields], Awaitable[None]]

    async def check_documents(
        self, number: int, app: BoundApp, place: Path
    ) -> "StoredCheck | None":
        """Hold all stored documents against a version; None if none can have become a misfit."""
        before = {str(name): spec for name, spec in self.storage.tables.items()}
        fields = fields_to_check(before, app.schema.tables)
        fields = {table: names for table, names in fields.items() if table in before}
        if not fields:
            return None
        progress: list[Fields] = []
        check = DocumentCheck(
            storage=self.storage,
            runtime=self.runtime,
            app=app,
            fields=fields,
            root=str(place),
            version=number,
            on_progress=lambda done, total: progress.append(
                _progress("checking documents", done, total)
            ),
        )
        try:
            async with self._telling(number, progress):
                done = await check.run()
        except CheckFailed as error:
            raise Problems([Problem("document", str(error))]) from error
        if done.misfits.count:
            raise Problems(document_problems(done.misfits))
        return StoredCheck(check, done)

    async def build(self, number: int, app: BoundApp) -> bool:
        """Build what large tables need for a version; say whether there was anything to build."""
        specs = tuple(app.schema.tables.values())
        told: list[Fields] = []
        rows = _BUILD_ROWS
        async with self._telling(number, told):
            progress = await self._build_step(lambda writer: writer.begin_build(specs))
            if progress is None:
                return False
            await self.change(number, {"state": "building"})
            while not progress.complete:
                started = self.runtime.monotonic()
                found = await self._build_step(lambda writer: writer.build_some(rows), again=specs)
                assert found is not None, number
                progress = found
                told.append(_progress("filling indexes", progress.done, progress.total))
                if progress.done < progress.total:
                    # Half of the writer's time is left to those who wait for it; but not while it
                    # runs after what they write.
                    await trio.sleep(min(_REST_SECONDS, self.runtime.monotonic() - started))
        return True

    async def _build_step(
        self,
        step: Callable[[Writer], Progress | None],
        again: tuple[TableSpec, ...] = (),
    ) -> Progress | None:
        """Do a piece; one that the disk refused is begun again, as the writer may have been."""
        for attempt in range(_BUILD_ATTEMPTS):
            reply = Reply[BuildDone | SwitchRefused | NotDone]()
            if attempt and again:
                self.mutations.put(BuildStep(lambda writer: writer.begin_build(again), reply))
            else:
                self.mutations.put(BuildStep(step, reply))
            done = await reply.wait()
            if isinstance(done, BuildDone):
                return done.progress
            if isinstance(done, SwitchRefused):
                raise Problems([Problem("schema", str(done))])
            await trio.sleep(_REST_SECONDS)
        raise Problems([Problem("storage", "The disk refuses to take what an index needs.")])

    @asynccontextmanager
    async def _telling(self, number: int, progress: list[Fields]) -> AsyncGenerator[None]:
        """Note now and then in a version's row how far it is."""

        async def tell() -> None:
            while True:
                await trio.sleep(_TELL_SECONDS)
                if progress:
                    newest = progress[-1]
                    progress.clear()
                    with suppress(Overloaded):
                        await self.change(number, newest)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell)
            yield
            nursery.cancel_scope.cancel()
