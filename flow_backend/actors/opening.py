"""Opening a backend: each actor is made, given the mailboxes that it sends to, and started."""

import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import structlog
import trio
from attrs import frozen

from flow_backend.actors.action import ActionActor
from flow_backend.actors.backend import Backend, VerifyAdmin, VerifyUser
from flow_backend.actors.deploying import Deployer
from flow_backend.actors.durations import Durations
from flow_backend.actors.frontier import Frontier
from flow_backend.actors.gate import Gate
from flow_backend.actors.jobs import JobActor, Queue
from flow_backend.actors.mailbox import Mailbox
from flow_backend.actors.messages.to_action import RunAction
from flow_backend.actors.messages.to_jobs import JobMessage
from flow_backend.actors.messages.to_mutation import MutationMessage
from flow_backend.actors.messages.to_query import QueryMessage
from flow_backend.actors.messages.to_scheduler import SchedulerMessage
from flow_backend.actors.messages.to_table import TableMessage
from flow_backend.actors.mutation import BatchSize, MutationActor
from flow_backend.actors.outbox import FrameCache, Outbox, TextFrame
from flow_backend.actors.query import QueryActor
from flow_backend.actors.reading import ReadPool, open_pool
from flow_backend.actors.scheduler import SchedulerActor
from flow_backend.actors.settings import BackendSettings
from flow_backend.actors.supervisor import Supervisor
from flow_backend.actors.table import TableActor
from flow_backend.actors.wall_timer import WallTimer
from flow_backend.functions.cron_steps import bound_crons, has_crons
from flow_backend.functions.endings import OnEnd
from flow_backend.functions.env import env_problems
from flow_backend.functions.env_rows import read_env
from flow_backend.functions.in_flight import InFlight, Unnoted
from flow_backend.functions.limits import Deadlines
from flow_backend.functions.outgoing import Outgoing
from flow_backend.functions.registry import App
from flow_backend.functions.runner import Runner
from flow_backend.functions.versions import AppVersion, Versions
from flow_backend.runtime import Runtime, Worker, ms_of
from flow_backend.storage.base import Snapshot, Storage

logger = structlog.get_logger()


@asynccontextmanager
async def open_backend(
    app: App,
    storage: Storage,
    runtime: Runtime,
    *,
    text_frame: TextFrame,
    deadlines: Deadlines,
    settings: BackendSettings | None = None,
    verify_user: VerifyUser | None = None,
    verify_admin: VerifyAdmin | None = None,
    in_flight: InFlight | None = None,
    gate: Gate | None = None,
    outside: trio.Nursery | None = None,
    number: int = 0,
    folder: Path | None = None,
    on_end: OnEnd | None = None,
) -> AsyncGenerator[Backend]:
    """Run version ``number`` of an app on an open database; the caller closes that afterwards.

    ``outside`` is where actions run: one that cannot be ended holds up its end. Without one they
    hold up the end of this block. Versions that are deployed are unpacked below ``folder``, by
    default one that goes at the end. ``on_end`` hears how calls end.

    Raises: AppDefinitionError if a function cannot be called from outside, or a cron not run;
        StorageError and ActorFailed, in a group, if the backend ends by itself.
    """
    settings = settings or BackendSettings()
    # Made by the first deploy, if one comes.
    temporary = Path(tempfile.gettempdir(), f"flow-versions-{runtime.random.getrandbits(64):x}")
    runner = _runner(app, storage, runtime, deadlines, settings, in_flight)
    runner.on_end = on_end
    for problem in env_problems(app.env, runner.env):
        # An admin can only mend it while the server runs.
        logger.error("the app cannot run as it should", problem=problem)
    crons = bound_crons(runner.app)
    versions = Versions(AppVersion(number, runner, crons))
    pool = open_pool(storage, versions, runtime, Durations(), settings.readers)
    pool.look_seconds = settings.look_seconds
    snapshot, jobs_snapshot = storage.open_snapshot(), storage.open_snapshot()
    writer, jobs_worker = runtime.worker("writer"), runtime.worker("job reader")
    try:
        async with trio.open_nursery() as nursery:
            machine = _Machine(
                storage, runtime, versions, pool, snapshot, jobs_snapshot, writer, jobs_worker
            )
            backend = _assemble(
                machine, text_frame, settings, verify_user, nursery, outside or nursery
            )
            backend.gate = gate or backend.gate
            backend.verify_admin = verify_admin
            backend.deployer.folder = folder or temporary
            try:
                backend.start()
                yield backend
                await backend.stop()
                nursery.cancel_scope.cancel()
            finally:
                # They may stand in a nursery that goes on.
                backend.action.abandon("Interrupted: the server stops.")
    finally:
        with trio.CancelScope(shield=True):
            await runner.outgoing.aclose()
            # No thread may be inside a connection that is closed.
            await writer.run(lambda: None)
            await jobs_worker.run(lambda: None)
            for reader in pool.workers:
                reader.snapshot.interrupt()
                await reader.worker.run(lambda: None)
        writer.close()
        jobs_worker.close()
        pool.close()
        snapshot.close()
        jobs_snapshot.close()
        shutil.rmtree(temporary, ignore_errors=True)


def _runner(
    app: App,
    storage: Storage,
    runtime: Runtime,
    deadlines: Deadlines,
    settings: BackendSettings,
    in_flight: InFlight | None,
) -> Runner:
    return Runner(
        app=app.bind({str(name): number for name, number in storage.table_numbers.items()}),
        limits=settings.limits,
        deadlines=deadlines,
        now_ms=lambda: ms_of(runtime.now_ns()),
        seed=lambda: runtime.random.getrandbits(64),
        env=MappingProxyType({**settings.env, **_stored_env(storage)}),
        redact=settings.redact,
        log_words=settings.log_words,
        stopwatch=runtime.stopwatch,
        monotonic=runtime.monotonic,
        in_flight=in_flight or Unnoted(),
        outgoing=Outgoing(settings.outgoing_allow),
        threads=trio.CapacityLimiter(settings.action_threads),
    )


def _stored_env(storage: Storage) -> Mapping[str, str]:
    snapshot = storage.open_snapshot()
    try:
        return read_env(snapshot)
    finally:
        snapshot.close()


@frozen
class _Machine:
    """What the actors stand on."""

    storage: Storage
    runtime: Runtime
    versions: Versions
    pool: ReadPool
    snapshot: Snapshot
    jobs_snapshot: Snapshot
    writer: Worker
    jobs_worker: Worker


def _assemble(
    machine: _Machine,
    text_frame: TextFrame,
    settings: BackendSettings,
    verify_user: VerifyUser | None,
    nursery: trio.Nursery,
    outside: trio.Nursery,
) -> Backend:
    """Make the actors and give each the mailboxes that it sends to."""
    storage, runtime, versions, pool = (
        machine.storage,
        machine.runtime,
        machine.versions,
        machine.pool,
    )
    mutations = Mailbox[MutationMessage](settings.mutations_waiting)
    queries = pool.failed = Mailbox[QueryMessage](settings.mutations_waiting)
    actions = Mailbox[RunAction](settings.actions_waiting)
    jobs = Mailbox[JobMessage](settings.mutations_waiting)
    inboxes = {name: Mailbox[TableMessage](settings.table_messages) for name in storage.tables}
    instants = Mailbox[SchedulerMessage](2)  # One unread message of each kind says all.
    last_ts = storage.writer.last_ts
    outbox = Outbox(frames=FrameCache(text_frame), runtime=runtime)
    return Backend(
        settings=settings,
        runtime=runtime,
        storage=storage,
        mutation=MutationActor(
            inbox=mutations,
            tables=inboxes,
            queries=queries,
            jobs=jobs,
            writer=storage.writer,
            worker=machine.writer,
            versions=versions,
            runtime=runtime,
            durations=pool.durations,
            size=BatchSize(settings.batch_max),
        ),
        tables={
            name: TableActor(name=name, inbox=inbox, queries=queries)
            for name, inbox in inboxes.items()
        },
        query_actor=QueryActor(
            inbox=queries,
            tables=inboxes,
            snapshot=machine.snapshot,
            pool=pool,
            versions=versions,
            durations=pool.durations,
            runtime=runtime,
            outbox=outbox,
            scheduler=instants,
            frontier=Frontier(last_ts),
            session_queries_max=settings.session.queries,
        ),
        action=ActionActor(
            inbox=actions,
            mutations=mutations,
            query=pool.query,
            versions=versions,
            runtime=runtime,
            outside=outside,
            running_max=settings.actions_running,
            seconds_max=settings.action_seconds,
            pausing_max=settings.actions_waiting,
        ),
        jobs=JobActor(
            inbox=jobs,
            mutations=mutations,
            actions=actions,
            snapshot=machine.jobs_snapshot,
            worker=machine.jobs_worker,
            versions=versions,
            runtime=runtime,
            look_seconds=settings.look_seconds,
            queues={
                "mutation": Queue(runs="mutation", most=settings.scheduled_mutations),
                "action": Queue(runs="action", most=settings.scheduled_actions),
            },
        ),
        scheduler=SchedulerActor(
            inbox=instants,
            queries=queries,
            mutations=mutations,
            timer=WallTimer(runtime, look_seconds=settings.look_seconds),
            versions=versions,
            has_rows=_has_crons(machine.jobs_snapshot),
        ),
        deployer=Deployer(
            mutations=mutations,
            scheduler=instants,
            storage=storage,
            versions=versions,
            runtime=runtime,
        ),
        pool=pool,
        versions=versions,
        inboxes=inboxes,
        outbox=outbox,
        text_frame=text_frame,
        verify_user=verify_user,
        supervisor=Supervisor(nursery, runtime),
    )


def _has_crons(snapshot: Snapshot) -> bool:
    """Say whether the database has crons, of this version or of one before."""
    snapshot.begin()
    try:
        return has_crons(snapshot)
    finally:
        snapshot.end()
