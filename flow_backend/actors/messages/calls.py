"""What all actors speak of: calls, sessions, live queries."""

from typing import NewType

from flow_backend.functions.context import NOBODY, Caller
from flow_backend.records import frozen
from flow_backend.values.value import JsonValue

SessionKey = NewType("SessionKey", int)
"""One connection of a client, among all of this process's life."""

LiveQueryId = NewType("LiveQueryId", int)
"""One live query, among all of this process's life."""


@frozen
class Call:
    """A function, its arguments in wire form, and who asks."""

    path: str
    args: JsonValue
    caller: Caller = NOBODY
