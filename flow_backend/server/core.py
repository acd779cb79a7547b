"""The backend as the server sees it."""

from collections.abc import Mapping
from typing import Protocol

from flow_backend.actors.deploys import Deploys
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_query import QueryDone
from flow_backend.actors.transport import Transport
from flow_backend.functions.context import Caller
from flow_backend.functions.exchange import Exchange
from flow_backend.functions.function import Kind
from flow_backend.storage.base import Done, Outcome, Refused, RequestKey
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.sync.messages import Token
from flow_backend.values.timestamp import CommitTs


class BackendFacade(Protocol):
    """Runs functions and sessions. A function's own failure is a value, never an exception."""

    async def query(self, call: Call, at: CommitTs | None = None) -> QueryDone:
        """Run a query, at the newest state or at a pinned timestamp.

        Raises: SnapshotTooOld, Overloaded.
        """
        ...

    async def mutate(self, call: Call, request: RequestKey | None = None) -> Outcome:
        """Run a mutation; one with a ``request`` that ran before gives its recorded outcome.

        Raises: Overloaded and NotCommitted; nothing has happened then.
        """
        ...

    async def act(self, call: Call, http: Exchange | None = None) -> Done | Refused:
        """Run an action; with ``http`` it is that of an HTTP route, and answers there.

        Raises: Overloaded.
        """
        ...

    def kind_of(self, path: str) -> Kind | None:
        """Say what kind of function a path names, None if none."""
        ...

    async def pin_snapshot(self) -> CommitTs:
        """Keep the newest state readable for some seconds, and give its timestamp."""
        ...

    @property
    def deploys(self) -> Deploys:
        """What is asked of deploys."""
        ...

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables that the app has now."""
        ...

    async def set_env(self, changes: Mapping[str, str | None]) -> None:
        """Set environment variables; None takes one away.

        Raises: InvalidEnvironment, Overloaded.
        """
        ...

    async def authenticate(self, token: Token) -> Caller:
        """Tell who a token speaks for.

        Raises: AuthRejected, AuthUnavailable.
        """
        ...

    async def run_session(self, transport: Transport, client: ClientIdentity) -> None:
        """Serve one client until its connection ends."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Give the actors' numbers by name; what only grows ends in ``_total``."""
        ...
