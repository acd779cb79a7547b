"""What the MutationActor is told, and what it answers."""

from collections.abc import Callable
from typing import Final

from flow_backend.actors.mailbox import Put
from flow_backend.actors.messages.calls import Call, SessionKey
from flow_backend.errors import ImportRefused, SwitchRefused
from flow_backend.functions.job_steps import Step
from flow_backend.functions.versions import AppVersion
from flow_backend.records import frozen
from flow_backend.schema.table import TableSpec
from flow_backend.storage.base import (
    Outcome,
    Progress,
    RequestKey,
    Switched,
    Transaction,
    Writer,
)
from flow_backend.storage.staged import StagedImport
from flow_backend.sync.messages import (
    RequestId,
)
from flow_backend.values.timestamp import CommitTs


@frozen
class MutationDone:
    """The outcome of one mutation, for whoever asked."""

    request_id: RequestId | None
    outcome: Outcome


@frozen
class NotDone:
    """A request that was taken but not carried out; nothing happened, and it may be sent again."""

    request_id: RequestId | None
    reason: str


@frozen
class RunMutation:
    """Run one mutation in the order of commits.

    ``session`` is who is to get a transition at or past its timestamp, if a session asked.
    ``step`` is the server's own work, in whose transaction the call is run, if at all.
    """

    call: Call
    reply_to: "Put[MutationDone | NotDone]"
    request_id: RequestId | None = None
    request: RequestKey | None = None
    session: SessionKey | None = None
    step: Step | None = None


FAILED_AT_THIS: Final = (
    "[Server Error] The server's writer failed at just this mutation; nothing of it was written. "
    "Do not send it again as it is; the server's log names the fault."
)
"""What a mutation is refused with that the MutationActor itself has failed at."""

OUTCOME_UNKNOWN: Final = (
    "[Server Error] The server's writer failed, and whether this mutation was made is not known. "
    "Look at the data; with an idempotency key a request can be sent again safely."
)
"""What one without an idempotency key is refused with, if the MutationActor has failed."""


@frozen
class MarkPast:
    """Commit an empty marker above ``ts``: a client has seen more than this database has.

    ``session`` is who is shown nothing until then, and gets a transition past the marker;
    ``reply_to`` hears if there can be none.
    """

    ts: CommitTs
    session: SessionKey
    reply_to: "Put[NotDone]"


@frozen
class SwappedIn:
    """What became of an import: its commit, or why nothing of it happened."""

    ts: CommitTs | None
    refused: ImportRefused | None = None


@frozen
class SwapIn:
    """Take over a staged import in one commit, with what ``record`` writes of it.

    It is alone in its batch, and holds up the mutations behind it for as long as the disk takes.
    """

    staged: StagedImport
    record: Callable[[Transaction], None]
    reply_to: "Put[SwappedIn | NotDone]"
    session: SessionKey | None = None


@frozen
class SwitchDone:
    """A version is in force."""

    version: AppVersion


@frozen
class Switch:
    """Put a version of the app in force: one commit, at its own place in the order.

    Attributes:
        specs: the tables of the version.
        record: writes the rows that go with it.
        version: makes it, of what the database says.
        reply_to: hears how it went.
    """

    specs: tuple[TableSpec, ...]
    record: Callable[[Transaction], None]
    version: Callable[[Switched], AppVersion]
    reply_to: "Put[SwitchDone | SwitchRefused | NotDone]"
    session: None = None


@frozen
class BuildStep:
    """Do a piece of what is built for a later schema: some ms of the writer's time."""

    step: Callable[[Writer], Progress | None]
    reply_to: "Put[BuildDone | SwitchRefused | NotDone]"
    session: None = None


@frozen
class BuildDone:
    """How far the build is; None if there is nothing to build."""

    progress: Progress | None


MutationMessage = RunMutation | MarkPast | SwapIn | Switch | BuildStep
