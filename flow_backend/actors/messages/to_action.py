"""What the ActionActor is told, and what it answers."""

from flow_backend.actors.mailbox import Put
from flow_backend.actors.messages.calls import Call
from flow_backend.actors.messages.to_mutation import NotDone
from flow_backend.functions.exchange import Exchange
from flow_backend.records import frozen
from flow_backend.storage.base import (
    Done,
    Refused,
)
from flow_backend.sync.messages import (
    RequestId,
)


@frozen
class ActionDone:
    """The outcome of an action; ``again`` says that another attempt might end otherwise."""

    request_id: RequestId | None
    result: Done | Refused
    again: bool = False


@frozen
class RunAction:
    """Run an action; with ``http`` it is that of an HTTP route."""

    call: Call
    reply_to: "Put[ActionDone | NotDone]"
    request_id: RequestId | None = None
    http: Exchange | None = None
