"""How calls end, for the log of functions: one small object for each."""

from collections.abc import Callable
from typing import Literal

from flow_backend.functions.context import Caller
from flow_backend.records import frozen

EndingKind = Literal["Query", "Mutation", "Action", "HttpAction"]


@frozen
class Ending:
    """A call has ended.

    Attributes:
        path: of the function; method and route of an HTTP action.
        at_ms: when, ms since the epoch.
        seconds: how long it took.
        lines: what it logged, each with its ``[LEVEL]`` before it.
        failure: what an admin is told of its error, None if it succeeded.
        again: whether it may be run again for that.
    """

    kind: EndingKind
    path: str
    at_ms: float
    seconds: float
    caller: Caller
    lines: tuple[str, ...] = ()
    failure: str | None = None
    again: bool = False


OnEnd = Callable[[Ending], None]
"""Hears of endings, in whichever thread a call ends; it neither waits nor raises."""
