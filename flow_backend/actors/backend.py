"""The backend as a whole: its actors in one nursery, and what the server asks of them."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

import structlog
import trio
from attrs import define, field

from flow_backend.actors.action import ActionActor
from flow_backend.actors.blame import Asked
from flow_backend.actors.deploying import Deployer
from flow_backend.actors.deploys import Deploys
from flow_backend.actors.environment import EnvironmentKeeper
from flow_backend.actors.gate import Gate
from flow_backend.actors.jobs import JobActor
from flow_backend.actors.mailbox import Mailbox, Reply
from flow_backend.actors.messages.calls import Call, SessionKey
from flow_backend.actors.messages.to_action import ActionDone, RunAction
from flow_backend.actors.messages.to_jobs import JobsWritten
from flow_backend.actors.messages.to_mutation import (
    MutationDone,
    NotDone,
    RunMutation,
    SwapIn,
    SwappedIn,
)
from flow_backend.actors.messages.to_query import (
    ChangeIdentity,
    ChangeQueries,
    QueryDone,
    Resubscribe,
    TableLost,
)
from flow_backend.actors.messages.to_table import Subscribe, TableMessage
from flow_backend.actors.mutation import MutationActor
from flow_backend.actors.outbox import Outbox, TextFrame
from flow_backend.actors.query import QueryActor
from flow_backend.actors.reading import ReadPool
from flow_backend.actors.scheduler import SchedulerActor
from flow_backend.actors.session import Authenticated, SessionActor
from flow_backend.actors.settings import BackendSettings
from flow_backend.actors.supervisor import Kept, RestartIntensity, Supervisor
from flow_backend.actors.table import TableActor
from flow_backend.actors.transport import Transport
from flow_backend.auth.identity import Identity
from flow_backend.errors import AdminKeysError, AuthRejected, FlowError, Overloaded
from flow_backend.functions.context import NOBODY, Caller
from flow_backend.functions.exchange import Exchange
from flow_backend.functions.function import Kind
from flow_backend.functions.job_steps import Step
from flow_backend.functions.registry import BoundApp
from flow_backend.functions.versions import AppVersion, Versions
from flow_backend.runtime import Runtime
from flow_backend.storage.base import (
    Done,
    Outcome,
    Refused,
    RequestKey,
    Storage,
    TableName,
    Transaction,
)
from flow_backend.storage.staged import StagedImport
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.sync.messages import AdminToken, NoToken, SessionId, Token, UserToken
from flow_backend.values.timestamp import CommitTs

M = TypeVar("M")

logger = structlog.get_logger()

_LAST_WORDS_SECONDS = 1.0
"""How long the server waits, when it stops, until it is on disk which jobs it has cut off."""


VerifyUser = Callable[[str], Awaitable[Authenticated]]
"""Verifies a user's token. Raises: AuthRejected, AuthUnavailable."""

VerifyAdmin = Callable[[str], Awaitable[bool]]
"""Says whether this is an admin key. Raises: AdminKeysError if that cannot be told now."""


@define(kw_only=True)
class Backend:
    """One app on one database, running."""

    settings: BackendSettings
    runtime: Runtime
    storage: Storage
    mutation: MutationActor
    tables: dict[TableName, TableActor]
    query_actor: QueryActor
    action: ActionActor
    jobs: JobActor
    scheduler: SchedulerActor
    deployer: Deployer
    pool: ReadPool
    versions: Versions
    inboxes: dict[TableName, Mailbox[TableMessage]]
    outbox: Outbox
    text_frame: TextFrame
    verify_user: VerifyUser | None
    verify_admin: VerifyAdmin | None = None
    supervisor: Supervisor
    gate: Gate = field(factory=Gate)
    sessions: dict[SessionKey, SessionActor] = field(factory=dict[SessionKey, SessionActor])
    newest_of: dict[SessionId, SessionKey] = field(factory=dict[SessionId, SessionKey])
    session_crashes: int = 0
    session_crash_alerts: int = 0
    _session_intensity: RestartIntensity = field(factory=lambda: RestartIntensity(100, 60.0))
    _last_session: int = 0
    _queries: Kept | None = None
    stopping: bool = False

    # --- What the server asks ----------------------------------------------------------------

    @property
    def app(self) -> BoundApp:
        """The app that serves now."""
        return self.mutation.runner.app

    async def query(self, call: Call, at: CommitTs | None = None) -> QueryDone:
        """Run a query once: at the newest state, or at a timestamp that was pinned.

        Raises: SnapshotTooOld, Overloaded.
        """
        self.gate.check()
        if at is not None:
            return await self.pool.query_at(call, at)
        return await self.pool.query(call)

    def kind_of(self, path: str) -> Kind | None:
        """Say what kind of function a path names, None if none."""
        return self.mutation.runner.app.kind_of(path)

    async def pin_snapshot(self) -> CommitTs:
        """Keep the newest state readable for some seconds, and give its timestamp."""
        return self.pool.pin()

    async def mutate(self, call: Call, request: RequestKey | None = None) -> Outcome:
        """Run a mutation; it is on disk when this returns.

        Raises: Overloaded if it was not taken, or not committed; nothing happened then.
        """
        self.gate.check()
        reply = Reply[MutationDone | NotDone]()
        await self._hand_over(
            self.mutation.inbox, RunMutation(call, reply, request=request), "mutations"
        )
        done = await reply.wait()
        if isinstance(done, NotDone):
            raise Overloaded(done.reason)
        return done.outcome

    async def write(self, step: Step, what: str) -> Done | Refused:
        """Do work of the server's own in a transaction; it is on disk when this returns.

        ``what`` names it in the log. Raises: Overloaded, as :meth:`mutate`.
        """
        reply = Reply[MutationDone | NotDone]()
        await self._hand_over(
            self.mutation.inbox, RunMutation(Call(what, {}), reply, step=step), "mutations"
        )
        done = await reply.wait()
        if isinstance(done, NotDone):
            raise Overloaded(done.reason)
        return done.outcome.result

    async def swap_in(
        self, staged: StagedImport, record: Callable[[Transaction], None]
    ) -> CommitTs:
        """Take over a staged import in one commit, with what ``record`` writes of it.

        Raises: ImportRefused, and nothing was changed then; Overloaded if it was not taken, or the
            writer failed and only what ``record`` writes can tell.
        """
        reply = Reply[SwappedIn | NotDone]()
        await self._hand_over(self.mutation.inbox, SwapIn(staged, record, reply), "imports")
        done = await reply.wait()
        if isinstance(done, NotDone):
            raise Overloaded(done.reason)
        if done.refused is not None:
            raise done.refused
        assert done.ts is not None, done
        return done.ts

    async def act(self, call: Call, http: Exchange | None = None) -> Done | Refused:
        """Run an action; with ``http`` it is that of an HTTP route, and answers there.

        Raises: Overloaded if it was not taken.
        """
        self.gate.check()
        reply = Reply[ActionDone | NotDone]()
        await self._hand_over(self.action.inbox, RunAction(call, reply, http=http), "actions")
        done = await reply.wait()
        if isinstance(done, NotDone):
            raise Overloaded(done.reason)
        return done.result

    @property
    def deploys(self) -> Deploys:
        """What is asked of deploys."""
        return Deploys(self.deployer, self.supervisor.nursery)

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables that the app has now."""
        return self.versions.newest.runner.env

    async def set_env(self, changes: Mapping[str, str | None]) -> None:
        """Set environment variables; None takes one away. Live queries are run again.

        Raises: InvalidEnvironment, Overloaded; nothing has changed then.
        """
        self.gate.check()
        deployer = self.deployer
        keeper = EnvironmentKeeper(
            mutations=deployer.mutations,
            versions=self.versions,
            runtime=self.runtime,
            turn=deployer.turn,
        )
        await keeper.change(changes)

    async def _hand_over(self, inbox: Mailbox[M], message: M, what: str) -> None:
        # There nearly always is room, and then a deadline would cost more than all the rest.
        if inbox.send_nowait(message):
            return
        try:
            with trio.fail_after(self.settings.mailbox_seconds):
                await inbox.send(message)
        except trio.TooSlowError:
            raise Overloaded(f"too many {what} wait already; try again") from None

    async def authenticate(self, token: Token) -> Caller:
        """Say who a token stands for.

        Raises: AuthRejected, AuthUnavailable.
        """
        return (await self.verify(token)).caller

    async def verify(self, token: Token) -> Authenticated:
        """Say who a token stands for, and until when.

        Raises: AuthRejected, AuthUnavailable.
        """
        match token:
            case NoToken():
                return Authenticated(NOBODY)
            case UserToken(value):
                if self.verify_user is None:
                    raise AuthRejected(
                        "No auth provider found matching the given token: this app has no auth.py",
                        "NoAuthProvider",
                    )
                return await self.verify_user(value)
            case AdminToken(key, attributes):
                if not await self._is_admin(key):
                    raise AuthRejected(
                        "This admin key is not known here: it was revoked, or is another server's. "
                        "`flow key create` makes one.",
                        "BadAdminKey",
                    )
                identity = None if attributes is None else Identity.from_attributes(attributes)
                return Authenticated(Caller(identity, admin=True), admin_key=key)

    async def _is_admin(self, key: str) -> bool:
        try:
            return self.verify_admin is not None and await self.verify_admin(key)
        except AdminKeysError as error:
            raise AuthRejected(
                "The server cannot tell whether this is an admin key: its file of them is damaged, "
                "or cannot be read. Its log says what to do; commands on its machine need no key.",
                "BadAdminKey",
            ) from error

    async def run_session(self, transport: Transport, client: ClientIdentity) -> None:
        """Serve one connection until it ends."""
        self._last_session += 1
        key = SessionKey(self._last_session)
        session = SessionActor(
            key=key,
            transport=transport,
            client=client,
            mutations=self.mutation.inbox,
            queries=self.query_actor.inbox,
            actions=self.action.inbox,
            authenticate=self.verify,
            outbox=self.outbox,
            text_frame=self.text_frame,
            newest_ts=lambda: self.mutation.writer.last_ts,
            now_ns=self.runtime.now_ns,
            limits=self.settings.session,
            newest_of=self.newest_of,
            gate=self.gate,
            on_crash=self._session_crashed,
        )
        self.sessions[key] = session
        if self.stopping:
            session.go_away()
        try:
            await session.run()
        except Exception as error:
            session.crash(error)
        finally:
            del self.sessions[key]

    def metrics(self) -> Mapping[str, float]:
        """Give what the actors count, by name."""
        return {
            "sessions": len(self.sessions),
            "live_queries": len(self.query_actor.live),
            "query_runs_total": self.query_actor.runs,
            "rounds_total": self.query_actor.rounds,
            "transitions_encoded_total": self.outbox.frames.encoded,
            "mutations_total": self.mutation.mutations,
            "commits_total": self.mutation.commits,
            "mutations_waiting": len(self.mutation.inbox),
            "actions_total": self.action.actions,
            "actions_running": self.action.running,
            "action_retries_total": self.action.retries,
            "scheduled_running": self.jobs.running,
            "scheduled_runs_total": self.jobs.runs,
            "scheduled_failures_total": self.jobs.failures,
            "scheduled_late_seconds_total": self.jobs.late_seconds,
            "scheduled_late_seconds_max": self.jobs.late_seconds_max,
            "scheduled_overdue_seconds": self.jobs.overdue_seconds,
            **{f"storage_{name}_total": count for name, count in self.storage.troubles.items()},
            "version": self.versions.newest.number,
            "deploys_total": self.deployer.deploys,
            "actor_restarts_total": self.supervisor.restarts,
            "session_crashes_total": self.session_crashes,
            "session_crash_alerts_total": self.session_crash_alerts,
        }

    # --- Mending -----------------------------------------------------------------------------

    def start(self) -> None:
        """Start all actors.

        Source: the guarantees, "Supervision".
        """
        start = self.supervisor.start
        self.mutation.on_restart = self._writer_is_back
        self.mutation.on_switch = self._version_is_in_force
        queries = self._queries = Kept(
            name="queries",
            run=self._run_queries,
            recover=self._queries_failed,
            at=lambda: self.query_actor.at,
        )
        start(
            Kept(
                name="mutations",
                run=self.mutation.run,
                recover=self.mutation.fail,
                intensity=RestartIntensity(3, 60.0),
                at=lambda: self.mutation.culprit,
            )
        )
        for name, table in self.tables.items():
            start(self._kept_table(name, table, queries))
        start(queries)
        start(
            Kept(
                name="actions",
                run=self.action.run,
                recover=self._actions_failed,
                at=lambda: self.action.at,
            )
        )
        start(Kept(name="jobs", run=self.jobs.run, at=lambda: self.jobs.at))
        start(
            Kept(
                name="scheduler",
                run=self.scheduler.run,
                recover=self.scheduler.forget,
                at=lambda: self.scheduler.at,
            )
        )
        start(Kept(name="outbox", run=self.outbox.run))
        start(Kept(name="snapshots", run=self.pool.run))
        start(Kept(name="tokens", run=self._expire_tokens))
        if self.verify_admin is not None:
            # Apart from the others: its file may lie on a disk that hangs.
            start(Kept(name="admin keys", run=partial(self._end_revoked, self.verify_admin)))

    def _version_is_in_force(self, version: AppVersion) -> None:
        """Start the actors of tables that are new; one that is gone has nothing more to do."""
        for name in map(TableName, version.app.schema.tables):
            if name in self.tables:
                continue
            inbox = Mailbox[TableMessage](self.settings.table_messages)
            table = TableActor(name=name, inbox=inbox, queries=self.query_actor.inbox)
            # The writer and the queries look there.
            self.inboxes[name], self.tables[name] = inbox, table
            assert self._queries is not None, name
            self.supervisor.start(self._kept_table(name, table, self._queries))

    def _kept_table(self, name: TableName, table: TableActor, queries: Kept) -> Kept:
        return Kept(
            name=f"table {name}",
            run=table.run,
            recover=lambda: self._table_failed(name),
            at=lambda: table.at,
            beyond=queries,
        )

    async def _run_queries(self) -> None:
        # Looked up anew, since a failed one is replaced.
        await self.query_actor.run()

    async def _expire_tokens(self) -> None:
        while True:
            await trio.sleep(self.settings.look_seconds)
            for session in list(self.sessions.values()):
                session.expire()

    async def _end_revoked(self, verify: VerifyAdmin) -> None:
        """End the sessions of admins whose key is one no more."""
        while True:
            await trio.sleep(self.settings.look_seconds)
            keys = {each.admin_key for each in self.sessions.values()} - {None}
            revoked: set[str | None] = set()
            for key in keys:
                # That the file is damaged revokes nothing: it was looked at when they came.
                with suppress(AdminKeysError):
                    if key is not None and not await verify(key):
                        revoked.add(key)
            for session in [each for each in self.sessions.values() if each.admin_key in revoked]:
                session.revoke()

    def _session_crashed(self) -> None:
        """Count it. Each takes only its own socket along, but many in a minute are an outage."""
        self.session_crashes += 1
        if not self._session_intensity.allows(self.runtime.monotonic()):
            self._session_intensity.forget()
            self.session_crash_alerts += 1
            logger.critical(
                "more than 100 sessions failed within a minute: somebody has to look",
                crashes=self.session_crashes,
            )

    def _writer_is_back(self) -> tuple[SessionKey, ...]:
        # It may have committed and not told: then no table has compared those writes.
        for name in self.tables:
            self._table_failed(name)
        self.jobs.inbox.put(JobsWritten({"mutation": 0.0, "action": 0.0}))
        # Some may have been answered, and wait for the transition that shows it.
        return tuple(self.sessions)

    def _actions_failed(self) -> None:
        self.action.abandon("Interrupted: the server's actions failed and were started again.")

    def _table_failed(self, name: TableName) -> None:
        table, last_ts = self.tables[name], self.mutation.writer.last_ts
        refused = table.at.query if isinstance(table.at, Subscribe) else None
        table.reset(last_ts)
        self.query_actor.inbox.put(TableLost(name, last_ts, refused))

    def _queries_failed(self) -> None:
        """Begin with no live query at all; every session is asked to tell its own again."""
        failed = self.query_actor
        match failed.at:
            case Asked() as asked:
                failed.poison[asked] = None
            case ChangeQueries(at_fault) | ChangeIdentity(at_fault):
                # It would be told the same again: the one who said it is to come back.
                if (told_by := self.sessions.get(at_fault)) is not None:
                    told_by.crash(FlowError("the queries failed at what it told"))
            case _:
                pass
        failed.inbox.clear()
        failed.snapshot.end()
        last_ts = self.mutation.writer.last_ts
        for table in self.tables.values():
            table.reset(last_ts)
        self.query_actor = QueryActor(
            inbox=failed.inbox,
            tables=failed.tables,
            snapshot=failed.snapshot,
            pool=failed.pool,
            versions=failed.versions,
            durations=failed.durations,
            runtime=failed.runtime,
            outbox=failed.outbox,
            scheduler=failed.scheduler,
            now_ms=failed.now_ms,
            # What is on disk but not told has answers on their way, which must come first.
            frontier=failed.frontier.successor(
                self.mutation.published_ts, {name: table.ts for name, table in self.tables.items()}
            ),
            live=failed.live.successor(),
            session_queries_max=failed.session_queries_max,
            poison=failed.poison,
        )
        for session in list(self.sessions.values()):
            session.put(Resubscribe())

    # --- Stopping ----------------------------------------------------------------------------

    async def drain(self) -> None:
        """Wait until all that was accepted is answered; actions that take too long are cut off."""
        self.stopping = self.jobs.stopping = True
        with trio.move_on_after(self.settings.stop_seconds):
            while self._is_busy():  # noqa: ASYNC110  # Looked at only while the server stops.
                await trio.sleep(0.005)
        self.action.abandon("Interrupted: the server stops.")
        with trio.move_on_after(_LAST_WORDS_SECONDS):
            # So that it is on disk that they were interrupted; the next start would note it, too.
            while self.jobs.running:  # noqa: ASYNC110  # As above.
                await trio.sleep(0.005)
        await self.outbox.wait_idle()

    def _is_busy(self) -> bool:
        writing = len(self.mutation.inbox) or self.mutation.in_flight or self.mutation.swapping
        return bool(writing or self.action.running or self.jobs.running)

    async def stop(self) -> None:
        """Answer what was accepted, then tell every client to go away."""
        await self.drain()
        for session in list(self.sessions.values()):
            session.go_away()
