"""Deploys: a package is loaded and checked beside what serves, and then takes its place at once."""

import gc
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import structlog
import trio
from attrs import define, evolve, field

from flow_backend.actors.deploy_requests import (
    Checked,
    Deployed,
    DeployRefused,
    DeployRequest,
    DeployResult,
    Problems,
    RollbackRequest,
)
from flow_backend.actors.ending import Endings
from flow_backend.actors.mailbox import Put, Reply
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_mutation import (
    MutationDone,
    MutationMessage,
    NotDone,
    RunMutation,
    Switch,
    SwitchDone,
)
from flow_backend.actors.messages.to_scheduler import CronsChanged
from flow_backend.actors.preparing import (
    Preparation,
    StoredCheck,
    document_problems,
    misfits_that_come_back,
)
from flow_backend.actors.restoring import find_building, find_version
from flow_backend.errors import AppDefinitionError, Overloaded, SwitchRefused
from flow_backend.functions.cron_steps import BoundCron, KeepCrons, bound_crons
from flow_backend.functions.deployments import (
    AddDeployment,
    BeginServing,
    ChangeDeployment,
    Fields,
    Problem,
    activate,
    deployments,
    find_deployment,
    number_of,
)
from flow_backend.functions.env import env_problems
from flow_backend.functions.job_steps import Step
from flow_backend.functions.limits import run_within
from flow_backend.functions.loader import load_version, unload_version
from flow_backend.functions.package import Package, unpack, unzip_package
from flow_backend.functions.plan import make_plan
from flow_backend.functions.registry import App, BoundApp
from flow_backend.functions.source_check import source_flaws
from flow_backend.functions.versions import AppVersion, Versions
from flow_backend.records import frozen
from flow_backend.runtime import Runtime, Worker
from flow_backend.storage.base import (
    Done,
    Refused,
    Snapshot,
    Storage,
    Switched,
    Transaction,
)
from flow_backend.values.value import JsonValue

T = TypeVar("T")

logger = structlog.get_logger()

_STEP_SECONDS: Final = 20.0
_LOAD_SECONDS: Final = 60.0


@frozen
class _Candidate:
    """A version that is loaded and does not serve yet."""

    number: int
    bound: BoundApp
    crons: Mapping[str, BoundCron]


def _nothing_wrong(_: App) -> Sequence[Problem]:
    """Have no say."""
    return ()


@define(kw_only=True)
class Deployer:
    """Puts versions in force, one after the other.

    Out:  RunMutation and Switch to the MutationActor, CronsChanged to the SchedulerActor.
    Owns: the folder of unpacked versions. Old versions stay in memory as long as somebody uses
        them, then they are unloaded and their files go.

    Attributes:
        folder: where versions are unpacked, each below its number.
        check: what the server says about a version before it may serve.
        turn: whoever changes what is in force has it.
        endings: how deploys ended whose rows do not say it yet.
    """

    mutations: Put[MutationMessage]
    scheduler: Put[CronsChanged]
    storage: Storage
    versions: Versions
    runtime: Runtime
    folder: Path = Path()
    check: Callable[[App], Sequence[Problem]] = _nothing_wrong
    deploys: int = 0
    turn: trio.Lock = field(factory=trio.Lock)
    endings: Endings = field(init=False)
    _prepare: Preparation = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.versions.on_forgotten = self.unload
        self.endings = Endings(step=self._step, turn=self.turn)
        self._prepare = Preparation(
            mutations=self.mutations,
            storage=self.storage,
            runtime=self.runtime,
            change=self._change,
        )

    async def deploy(
        self, request: DeployRequest, on_number: Callable[[int], None] = lambda _: None
    ) -> DeployResult:
        """Check a package and put it in force; ``on_number`` hears its number before that.

        Raises: AppDefinitionError if it is no package at all; Overloaded if the writer could not
            note it, and nothing has changed then.
        """
        worker = self.runtime.worker("deploy")
        try:
            package = await worker.run(lambda: unzip_package(request.zipped, request.package))
            async with self.turn:
                return await self._begin(worker, request, package, on_number)
        finally:
            worker.close()

    async def roll_back(
        self, wanted: RollbackRequest, on_number: Callable[[int], None] = lambda _: None
    ) -> DeployResult:
        """Put the code of an earlier version in force again, as a version of its own.

        Raises: AppDefinitionError if there is no such version, or its package is kept no more;
            what :meth:`deploy` raises.
        """
        worker = self.runtime.worker("deploy")
        try:
            async with self.turn:
                # Which one is before that of now is known once nobody else may change that.
                found = await worker.run(
                    lambda: self._reading(lambda snapshot: find_version(snapshot, wanted.to))
                )
                request = found.asked_by(wanted)
                package = await worker.run(lambda: unzip_package(request.zipped, request.package))
                return await self._begin(worker, request, package, on_number)
        finally:
            worker.close()

    async def deployments(self, most: int, *, served: bool) -> Sequence[Fields]:
        """Give the newest versions, newest first; those that served, or all."""
        rows = await self._in_thread(lambda snap: deployments(snap, most, served=served))
        return [self.endings.shown(row) for row in rows]

    async def deployment(self, number: int) -> Fields | None:
        """Give a version, None if there is none of this number."""
        row = await self._in_thread(lambda snapshot: find_deployment(snapshot, number))
        return None if row is None else self.endings.shown(row)

    async def sweep(self) -> None:
        """Remove folders of versions that are not in memory, which a killed process has left.

        Nothing else that stands there is touched.
        """
        worker = self.runtime.worker("unload")
        try:
            async with self.turn:
                await worker.run(self._sweep)
        finally:
            worker.close()

    def _sweep(self) -> None:
        try:
            found = list(self.folder.iterdir())
        except OSError:
            return  # Most often there is none; it is made by the first deploy.
        for each in found:
            is_version = re.fullmatch("[1-9][0-9]{0,15}", each.name) and not each.is_symlink()
            if is_version and not self.versions.has(int(each.name)) and each.is_dir():
                shutil.rmtree(each, ignore_errors=True)

    async def resume(self) -> DeployResult | None:
        """Go on with the version whose indexes were being built when the server ended, if any.

        Raises: as :meth:`deploy`.
        """
        worker = self.runtime.worker("deploy")
        try:
            async with self.turn:
                zipped, fields = await worker.run(lambda: self._reading(find_building))
                if fields is None:
                    return None
                number, name = number_of(fields), str(fields["package"])
                try:
                    package = await worker.run(lambda: unzip_package(zipped, name))
                except AppDefinitionError as error:
                    await self._end(number, "failed", [Problem("code", str(error))])
                    return None
                request = DeployRequest(zipped, package.name, agreed=True)
                logger.info("a version's indexes are built on", version=number)
                return await self._deploy(worker, request, package, number)
        finally:
            worker.close()

    async def begin(self, step: BeginServing) -> None:
        """Note which version serves from the start on; if the disk is full, before the next deploy.

        The next start would find the same, so nobody has to wait for it.
        """
        await self.endings.begin(step)

    def unload(self, version: AppVersion) -> None:
        """Forget a version that nobody uses any more."""
        if self.versions.has(version.number):
            return  # It is in force with another environment.
        unload_version(version.app.name, version.number)
        place, worker = self._place(version.number), self.runtime.worker("unload")
        # What is in cycles, as all of a module is, would else stay for a long time: Python looks
        # at objects that have grown old when there are a quarter more of them.
        worker.submit(
            lambda: shutil.rmtree(place, ignore_errors=True), lambda _: _collect_garbage()
        )
        worker.close()

    # --- The way of a package --------------------------------------------------------------------

    async def _begin(
        self,
        worker: Worker,
        request: DeployRequest,
        package: Package,
        on_number: Callable[[int], None],
    ) -> DeployResult:
        try:
            number = await self._add(request, package)
        except Overloaded:
            await self.endings.give_up()
            raise
        on_number(number)
        return await self._deploy(worker, request, package, number)

    async def _deploy(
        self, worker: Worker, request: DeployRequest, package: Package, number: int
    ) -> DeployResult:
        in_force = False
        try:
            await worker.run(lambda: _check_source(package))
            candidate = await worker.run(lambda: self._load(package, number))
            asked = await self._plan(worker, candidate)
            check = await self._prepare.check_documents(
                number, candidate.bound, self._place(number)
            )
            if request.dry_run:
                told: list[JsonValue] = [each.as_json() for each in asked]
                await self._change(number, {"state": "ready", "problems": told})
                return Checked(number)
            if asked and not request.agreed:
                raise Problems(asked)
            if await self._prepare.build(number, candidate.bound) and check is not None:
                await check.catch_up()
            version = await self._switch(candidate, check)
            in_force = True
        except Problems as error:
            await self._end(number, "refused", error.problems)
            return DeployRefused(number, error.problems)
        except Overloaded as error:
            said = f"The server could not write what belongs to this version. {error}"
            await self._end(number, "failed", [Problem("storage", said)])
            raise
        except Exception as error:
            said = f"the server failed at it ({type(error).__name__}); its log says more"
            await self._end(number, "failed", [Problem("server", said)])
            raise
        finally:
            if not in_force:
                unload_version(package.name, number)
                await worker.run(lambda: shutil.rmtree(self._place(number), ignore_errors=True))
        self.deploys += 1
        logger.info("a version is in force", version=number, origin=request.origin)
        return Deployed(number, version.from_ts)

    def _load(self, package: Package, number: int) -> _Candidate:
        """In a thread: unpack and import a version, and look at all that is declared in it."""
        root = self._place(number)
        shutil.rmtree(root, ignore_errors=True)
        unpack(package, root)
        numbers = {str(name): number for name, number in self.storage.table_numbers.items()}
        runner = self.versions.newest.runner

        def load() -> _Candidate:
            bound = load_version(root, package.name, number).bind(numbers)
            return _Candidate(number, bound, bound_crons(bound))

        try:
            candidate = run_within(runner.deadlines, _LOAD_SECONDS, load)
        except AppDefinitionError as error:
            raise Problems([Problem("code", str(error))]) from error
        except TimeoutError:
            said = (
                f"The package was not imported within {_LOAD_SECONDS:g} s: a module of it runs too "
                "long, or for ever. Do what takes time in an action."
            )
            raise Problems([Problem("code", said)]) from None
        app = candidate.bound.app
        problems = [*self.check(app), *self._check_env(app)]
        if problems:
            raise Problems(problems)
        return candidate

    def _check_env(self, app: App) -> Sequence[Problem]:
        found = env_problems(app.env, self.versions.newest.runner.env)
        return [Problem("environment", text) for text in found]

    async def _plan(self, worker: Worker, candidate: _Candidate) -> Sequence[Problem]:
        """Note what the version changes; give what somebody must agree to."""
        old, new = self.versions.newest.app, candidate.bound.app
        try:
            plan = await worker.run(lambda: self._reading(lambda snap: make_plan(old, new, snap)))
        except AppDefinitionError as error:
            raise Problems([Problem("code", str(error))]) from error
        await self._change(candidate.number, {"summary": plan.as_json()})
        asked = [Problem("confirm", text) for text in plan.agreements]
        if new.name != old.name:
            said = f"The package {new.name} takes the place of {old.name}, which the server serves."
            asked.insert(0, Problem("confirm", said))
        return asked

    async def _switch(self, candidate: _Candidate, check: StoredCheck | None) -> AppVersion:
        keep = KeepCrons(tuple(candidate.crons.values()), self._seed())
        upcoming: dict[str, float] = {}

        late: list[Problem] = []

        before = set(self.storage.tables)

        def record(transaction: Transaction) -> None:
            rest = misfits_that_come_back(transaction, candidate.bound, before)
            if check is not None:
                rest.take(check.check.rest(transaction, check.done.position))
            if rest.count:
                late.extend(document_problems(rest))
                raise SwitchRefused("documents that nobody had looked at do not fit")
            activate(transaction, candidate.number)
            kept = keep(transaction, lambda: Done(b"null"))
            assert isinstance(kept, Done), kept
            upcoming.update(orjson.loads(kept.result))

        def version(switched: Switched) -> AppVersion:
            numbers = {str(name): number for name, number in switched.numbers.items()}
            candidate.bound.number_tables(numbers)
            runner = evolve(self.versions.newest.runner, app=candidate.bound)
            return AppVersion(candidate.number, runner, candidate.crons, switched.ts)

        reply = Reply[SwitchDone | SwitchRefused | NotDone]()
        specs = tuple(candidate.bound.schema.tables.values())
        self.mutations.put(Switch(specs, record, version, reply))
        done = await reply.wait()
        if isinstance(done, SwitchRefused):
            raise Problems(late or [Problem("schema", str(done))])
        if isinstance(done, NotDone):
            raise Problems([Problem("storage", done.reason)])
        self.scheduler.put(CronsChanged(upcoming))
        return done.version

    def _place(self, number: int) -> Path:
        return self.folder / str(number)

    # --- Rows ------------------------------------------------------------------------------------

    async def _add(self, request: DeployRequest, package: Package) -> int:
        await self.endings.write()
        step = AddDeployment(
            package.name,
            package.digest,
            request.zipped,
            request.origin,
            request.author,
            request.message,
            request.restores,
            self._seed(),
        )
        return int(orjson.loads((await self._step("add", step)).result))

    async def _end(self, number: int, state: str, problems: Sequence[Problem]) -> None:
        told: list[JsonValue] = [each.as_json() for each in problems]
        await self.endings.note(number, {"state": state, "problems": told})

    async def _change(self, number: int, fields: Fields) -> None:
        await self._step("change", ChangeDeployment(number, fields))

    async def _step(self, what: str, step: Step) -> Done:
        reply = Reply[MutationDone | NotDone]()
        self.mutations.put(RunMutation(Call(f"_deployments:{what}", None), reply, step=step))
        try:
            with trio.fail_after(_STEP_SECONDS):
                done = await reply.wait()
        except trio.TooSlowError:
            raise Overloaded(f"The writer did not come to it in {_STEP_SECONDS:g} s.") from None
        result: Any = done if isinstance(done, NotDone) else done.outcome.result
        if isinstance(result, Done):
            return result
        raise Overloaded(result.message if isinstance(result, Refused) else result.reason)

    async def _in_thread(self, read: Callable[[Snapshot], T]) -> T:
        worker = self.runtime.worker("versions")
        try:
            return await worker.run(lambda: self._reading(read))
        finally:
            worker.close()

    def _reading(self, read: Callable[[Snapshot], T]) -> T:
        """In a thread: read the newest state."""
        snapshot = self.storage.open_snapshot()
        try:
            snapshot.begin()
            return read(snapshot)
        finally:
            snapshot.close()

    def _seed(self) -> int:
        return self.runtime.random.getrandbits(64)


def _collect_garbage() -> None:
    gc.collect()


def _check_source(package: Package) -> None:
    """In a thread: read the source before any of it runs.

    Raises: Problems.
    """
    if flaws := source_flaws(package.name, package.files):
        raise Problems([Problem(flaw.kind, flaw.text) for flaw in flaws])
