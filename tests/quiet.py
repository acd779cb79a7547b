"""Tests whose parts are made to fail say so in the server's log, which nobody reads."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """Log nothing; a folder's conftest imports this."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.configure(**before)
