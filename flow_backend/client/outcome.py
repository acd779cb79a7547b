"""How a call or a query ended, as the server said it."""

import logging
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, cast

import orjson
from attrs import frozen

from flow_backend.errors import AppError, FunctionFailed, MalformedMessage
from flow_backend.values.encode import from_wire
from flow_backend.values.value import JsonValue

Fields: TypeAlias = dict[str, Any]
"""A message of the server as JSON gives it; what is taken out of it is looked at there."""

_DATA: Final = "errorData"
_LOG: Final = logging.getLogger("flow_backend.client.functions")
_LEVELS: Final = {"DEBUG": logging.DEBUG, "WARN": logging.WARNING, "ERROR": logging.ERROR}


@frozen
class Success:
    """A result, in wire form."""

    value: JsonValue

    def text(self) -> bytes:
        """Give what is equal for equal results, and for them alone."""
        return orjson.dumps(self.value, option=orjson.OPT_SORT_KEYS)


@frozen
class Failure:
    """A failure: the server's words, and in ``data`` what an AppError gave (a list of one)."""

    message: str
    data: tuple[JsonValue, ...] = ()

    def text(self) -> bytes:
        """Give what is equal for equal failures, and for no result."""
        return b"!" + orjson.dumps([self.message, *self.data], option=orjson.OPT_SORT_KEYS)

    def error(self, path: str) -> AppError | FunctionFailed:
        """Make what the caller of the function at ``path`` is raised."""
        for each in self.data:
            return AppError(from_wire(each))
        return FunctionFailed(path, self.message)


Outcome: TypeAlias = Success | Failure


def outcome_of_response(fields: Fields) -> Outcome:
    """Read a MutationResponse or an ActionResponse. Raises: MalformedMessage."""
    if fields.get("success") is True:
        return Success(fields.get("result"))
    return _failure(fields, fields.get("result"))


def outcome_of_query(fields: Fields) -> Outcome:
    """Read a QueryUpdated or a QueryFailed. Raises: MalformedMessage."""
    if fields["type"] == "QueryUpdated":
        return Success(fields.get("value"))
    return _failure(fields, fields.get("errorMessage"))


def log_function(path: str, lines: Sequence[str]) -> None:
    """Log here what a function has logged on the server."""
    for line in lines:
        level = line[1:].partition("]")[0] if line.startswith("[") else ""
        _LOG.log(_LEVELS.get(level, logging.INFO), "%s: %s", path, line)


def log_lines(fields: Fields) -> list[str]:
    """Give the lines that a function logged; none in production."""
    lines = fields.get("logLines")
    return [str(line) for line in cast("list[object]", lines)] if isinstance(lines, list) else []


def _failure(fields: Fields, message: object) -> Failure:
    if not isinstance(message, str):
        raise MalformedMessage("A failure comes with a message, but the server gave none.")
    return Failure(message, (cast("JsonValue", fields[_DATA]),) if _DATA in fields else ())
