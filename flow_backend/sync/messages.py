"""What clients say, what a session is then to do, and the versions that order their talk."""

from typing import Final, Literal, NewType, TypeAlias

from attrs import field

from flow_backend.records import frozen
from flow_backend.values.timestamp import NO_COMMIT, CommitTs
from flow_backend.values.value import JsonValue

SessionId = NewType("SessionId", str)
"""A UUID with hyphens, in lower case."""

QueryId = NewType("QueryId", int)
RequestId = NewType("RequestId", int)
QuerySetVersion = NewType("QuerySetVersion", int)
IdentityVersion = NewType("IdentityVersion", int)


@frozen
class Version:
    """Where a client stands: each part only grows, and all are zero when a connection begins."""

    query_set: QuerySetVersion
    ts: CommitTs
    identity: IdentityVersion


START: Final = Version(QuerySetVersion(0), NO_COMMIT, IdentityVersion(0))


@frozen
class BadArguments:
    """Arguments that no function can take. The call fails as one with wrong arguments does."""

    reason: str


Arguments: TypeAlias = dict[str, JsonValue] | BadArguments
"""The one object that a function is called with, in wire form; nobody changes it."""


# --- Client messages. ``component_path`` is None for the app itself.


@frozen
class Connect:
    """The first message of every connection.

    ``max_observed_ts`` is the newest timestamp that the client has seen, None if it saw none.
    ``connection_count`` and ``last_close_reason`` are for the log only.
    """

    session_id: SessionId
    connection_count: int
    last_close_reason: str | None
    max_observed_ts: CommitTs | None


@frozen
class Add:
    """Subscribe to a query. ``journal`` pins the end of its page, if the client has one."""

    query_id: QueryId
    path: str
    args: Arguments
    journal: str | None = None
    component_path: str | None = None


@frozen
class Remove:
    """Drop a subscription."""

    query_id: QueryId


@frozen
class ModifyQuerySet:
    """Edit what the client has open; the edits count in their order."""

    base_version: QuerySetVersion
    new_version: QuerySetVersion
    modifications: tuple[Add | Remove, ...]


@frozen
class Mutation:
    """Run a mutation."""

    request_id: RequestId
    path: str
    args: Arguments
    component_path: str | None = None


@frozen
class Action:
    """Run an action."""

    request_id: RequestId
    path: str
    args: Arguments
    component_path: str | None = None


@frozen
class NoToken:
    """The client is nobody from now on."""


@frozen
class UserToken:
    """A JWT, not looked at yet. It never shows in logs."""

    value: str = field(repr=False)


@frozen
class AdminToken:
    """An admin key, not looked at yet, and the attributes of the user to act as."""

    key: str = field(repr=False)
    impersonating: dict[str, JsonValue] | None = None


Token: TypeAlias = NoToken | UserToken | AdminToken


@frozen
class Authenticate:
    """Change who the client is; the identity version becomes ``base_version`` + 1."""

    base_version: IdentityVersion
    token: Token


@frozen
class Event:
    """Telemetry, which is taken and dropped."""

    event_type: str


ClientMessage: TypeAlias = Connect | ModifyQuerySet | Mutation | Action | Authenticate | Event


# --- Intents: what a session is to do, in the order given.


@frozen
class StartSession:
    """Begin as this session. No commit timestamp may be sent before ``max_observed_ts`` is met."""

    session_id: SessionId
    max_observed_ts: CommitTs | None


@frozen
class ChangeQueries:
    """First drop ``remove``, then subscribe to ``add``; a query id may stand in both.

    The next round covers it all, also if both are empty, and ends at ``query_set``.
    """

    add: tuple[Add, ...]
    remove: tuple[QueryId, ...]
    query_set: QuerySetVersion


@frozen
class RunMutation:
    """Run a mutation after those that came before it, and answer."""

    request_id: RequestId
    path: str
    args: Arguments
    component_path: str | None = None


@frozen
class RunAction:
    """Run an action beside all else, and answer."""

    request_id: RequestId
    path: str
    args: Arguments
    component_path: str | None = None


@frozen
class VerifyToken:
    """Look at a token; if it is good, the client's identity becomes ``identity_version``."""

    token: Token
    identity_version: IdentityVersion


Intent: TypeAlias = StartSession | ChangeQueries | RunMutation | RunAction | VerifyToken


# --- Who the client program is.

ClientName: TypeAlias = Literal[
    "npm",
    "npm-cli",
    "python",
    "python-convex",
    "rust",
    "actions",
    "flow",
    "dashboard",
    "swift",
    "kotlin",
    "create-convex",
    "streaming-import",
    "unknown",
]
