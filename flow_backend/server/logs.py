"""The server's log: lines for people on a terminal, JSON for machines, never a secret."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, TextIO

import structlog

from flow_backend.errors import StartError
from flow_backend.server.config import USAGE_EXIT_CODE, Settings

_SECRET: Final = frozenset(
    {"token", "key", "admin_key", "authorization", "args", "arguments", "body", "value", "password"}
)
_HIDDEN: Final = "(not logged)"
_LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

EventDict = MutableMapping[str, Any]


def configure_logs(settings: Settings, stream: TextIO | None = None) -> None:
    """Set the log up for this process; it goes to stderr.

    Raises: StartError for a level or format that does not exist.
    """
    output = sys.stderr if stream is None else stream
    level = _LEVELS.get(settings.log_level.lower())
    if level is None:
        known = ", ".join(_LEVELS)
        raise StartError(
            f"There is no log level {settings.log_level!r}; it is one of {known}.", USAGE_EXIT_CODE
        )
    as_text = {"text": True, "json": False, "auto": output.isatty()}.get(settings.log_format)
    if as_text is None:
        raise StartError(
            f"There is no log format {settings.log_format!r}; it is text, json or auto.",
            USAGE_EXIT_CODE,
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not as_text),
            hide_secrets,
            *_last_processors(as_text=as_text, colors=output.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: PatientLogger(output),
        # Loggers are made at import, before this runs.
        cache_logger_on_first_use=False,
    )


class PatientLogger(structlog.PrintLogger):
    """Prints lines, and leaves out what cannot be printed.

    A log on a full disk, or to a program that has ended, must not take a server down that works.
    """

    def msg(self, message: str) -> None:
        """Print a line, if it can be."""
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def _last_processors(*, as_text: bool, colors: bool) -> list[structlog.types.Processor]:
    if as_text:
        # A traceback is many lines on purpose, so it is written after the rest was escaped.
        plain = structlog.dev.plain_traceback
        return [
            escape_controls,
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain),
        ]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),  # JSON escapes control characters by itself.
    ]


def hide_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Take out what must not be in a log, should a line carry it by mistake."""
    for name in event.keys() & _SECRET:
        event[name] = _HIDDEN
    return event


def escape_controls(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Show control characters as escapes: a logged text must not move the cursor or forge lines."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = "".join(
                one if one.isprintable() else one.encode("unicode_escape").decode() for one in value
            )
    return event
