"""docs/running.md lists every setting of the server with its default, and says what it is for."""

import re
from pathlib import Path

import attrs

from flow_backend.actors.outstanding import SessionLimits
from flow_backend.actors.settings import BackendSettings
from flow_backend.functions.limits import Limits
from flow_backend.server.bounds import backend_settings
from flow_backend.server.config import ENVIRONMENT_PREFIX, Settings

RUNNING = Path(__file__).parents[2] / "docs" / "running.md"
ROW = re.compile(r"^\| `FLOW_.*$", re.MULTILINE)


def shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return f"`{','.join(default)}`" if default else "(none)"
    return "(none)" if default == "" else f"`{default}`"


def setting_rows() -> list[str]:
    """The rows of the table as the code would have them."""
    return [
        f"| `{ENVIRONMENT_PREFIX}{each.name.upper()}` | {shown(each.default)} "
        f"| {each.metadata['help']} |"
        for each in attrs.fields(Settings)
    ]


def test_g_every_setting_stands_in_the_docs_with_its_default() -> None:
    """On a difference: put these rows into docs/running.md."""
    rows = setting_rows()

    assert ROW.findall(RUNNING.read_text()) == rows, "\n" + "\n".join(rows)


def test_g_the_settings_of_the_server_have_the_defaults_of_the_backend() -> None:
    """The same bound holds for a backend that was opened without a server."""
    chosen = backend_settings(Settings())

    for name in ("limits", "session", "mutations_waiting"):
        assert getattr(chosen, name) == getattr(BackendSettings(), name), name
    others = {each.name for each in attrs.fields(BackendSettings)} - {"stop_seconds"}
    for name in others:
        assert getattr(chosen, name) == getattr(BackendSettings(), name), name


def test_g_every_bound_of_a_call_and_of_a_session_is_a_setting() -> None:
    """Each number of the settings reaches the bound that it is for, and no other."""
    numbers = {
        each.name: 1001 + place
        for place, each in enumerate(attrs.fields(Settings))
        if isinstance(each.default, (int, float)) and not isinstance(each.default, bool)
    }
    chosen = backend_settings(Settings(**numbers))

    for bounds, kind in ((chosen.limits, Limits), (chosen.session, SessionLimits)):
        fixed = {"ahead_ns", "chunk_bytes"}  # Parts of the protocol, which nobody should change.
        values = [getattr(bounds, e.name) for e in attrs.fields(kind) if e.name not in fixed]
        assert len(set(values)) == len(values)
        assert set(values) <= set(numbers.values()), bounds
