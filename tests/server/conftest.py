"""Logs of the server under test go to a list."""

import pytest
import structlog
from structlog.testing import LogCapture


@pytest.fixture(autouse=True)
def log_lines():
    """What the server logs in this test."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.configure(**before)
