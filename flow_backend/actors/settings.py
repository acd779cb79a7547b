"""The bounds of a backend."""

from collections.abc import Mapping

from attrs import field, frozen

from flow_backend.actors.outstanding import SessionLimits
from flow_backend.functions.limits import Limits
from flow_backend.functions.outgoing import Network


@frozen
class BackendSettings:
    """Bounds of the backend; the defaults suit a small machine.

    Attributes:
        limits: of one call.
        session: of one client.
        mutations_waiting: what the MutationActor's mailbox holds.
        scheduled_mutations: how many due ones are with the writer at once.
        scheduled_actions: how many run at once.
        batch_max: how many mutations commit together at most.
        readers: threads for queries that are too slow for the loop.
        redact: whether clients are told no more of an error than that there was one.
        log_words: whether the log of functions has an error's own words.
        stop_seconds: how long running actions may go on when the server stops.
        outgoing_allow: networks that actions may call although they are not public.
        look_seconds: how often is looked whether the wall clock was set, and at what is kept for
            some seconds.
    """

    limits: Limits = field(factory=Limits)
    session: SessionLimits = field(factory=SessionLimits)
    mutations_waiting: int = 1024
    table_messages: int = 4096
    actions_waiting: int = 1024
    actions_running: int = 64
    action_seconds: float = 600.0
    action_threads: int = 16
    scheduled_mutations: int = 64
    scheduled_actions: int = 8
    batch_max: int = 64
    readers: int = 3
    redact: bool = False
    log_words: bool = False
    env: Mapping[str, str] = field(factory=dict[str, str])
    mailbox_seconds: float = 20.0
    stop_seconds: float = 10.0
    outgoing_allow: tuple[Network, ...] = ()
    look_seconds: float = 1.0
