"""The API reference is what the docstrings say."""

import sys

import pytest

from tests.architecture.reference import FILE, written


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="others print signatures otherwise")
def test_the_reference_is_up_to_date() -> None:
    assert FILE.read_text() == written(), "docs/reference.md is stale: run make reference"
