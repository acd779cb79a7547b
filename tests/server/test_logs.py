"""What a log line may hold, and how it looks."""

import errno
import io
import json

import pytest
import structlog

from flow_backend.errors import StartError
from flow_backend.server.config import Settings
from flow_backend.server.logs import configure_logs


def _log_to(log_format: str, log_level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logs(Settings(log_format=log_format, log_level=log_level), stream)
    return stream


def test_machines_get_one_json_object_a_line():
    stream = _log_to("json")

    structlog.get_logger().info("Started", port=1, text="two\nlines")
    structlog.get_logger().debug("Not shown")

    [line] = stream.getvalue().splitlines()
    assert json.loads(line).items() >= {"event": "Started", "port": 1, "level": "info"}.items()


def test_people_get_text_whose_control_characters_are_shown():
    """A name that a client made up must not forge a line or clear the terminal."""
    stream = _log_to("text")

    structlog.get_logger().info("Joined", name="eve\n2026 error\x1b[2J")

    assert stream.getvalue().count("\n") == 1
    assert "\x1b[2J" not in stream.getvalue()
    assert "\\n2026 error" in stream.getvalue()
    assert "\\x1b[2J" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_secrets_and_locals_are_not_logged(log_format: str):
    stream = _log_to(log_format)

    secret = "".join(["can", "ary"])
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        structlog.get_logger().exception("Failed", token=secret, args={"x": secret})

    assert secret not in stream.getvalue()
    assert "ZeroDivisionError" in stream.getvalue()


@pytest.mark.parametrize(("log_format", "log_level"), [("xml", "info"), ("json", "loud")])
def test_an_unknown_format_or_level_is_refused(log_format: str, log_level: str):
    with pytest.raises(StartError):
        _log_to(log_format, log_level)


class FullDisk(io.StringIO):
    """A log file on a disk without room."""

    tried = 0

    def write(self, _text: str) -> int:
        self.tried += 1
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nobody():
    """Its disk is full, or its reader has gone: the server works all the same."""
    stream = FullDisk()
    configure_logs(Settings(log_format="json"), stream)

    structlog.get_logger().error("Nobody reads this")

    assert stream.tried > 0
