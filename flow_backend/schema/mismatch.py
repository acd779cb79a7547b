"""Says which part of a value does not fit its annotation."""

from collections.abc import Callable
from typing import Any

from flow_backend.errors import InvalidValue

Structure = Callable[[Any, Any], Any]
"""Takes a decoded value (and the annotation, which cattrs passes along) to what is annotated."""

Unstructure = Callable[[Any], Any]
"""Takes a Python value to its wire form."""

Hooks = tuple[Structure, Unstructure]

_SHOWN_MAX = 120


class Mismatch(ValueError):
    """A value does not fit its annotation; ``path`` leads to it, such as ``.rooms[2].owner``.

    The path is put together while the error goes up through the containers, so that a good value
    pays nothing for it.
    """

    def __init__(self, expected: str, came: object, path: str = "") -> None:
        super().__init__(expected, came, path)
        self.expected = expected
        self.came = came
        self.path = path

    def __str__(self) -> str:
        return f"at {self.path or 'the top'}: expected {self.expected}, got {shown(self.came)}"

    def came_through(self, step: str) -> None:
        """Note a container that the error passes: ``.name`` or ``[index]``."""
        self.path = step + self.path


def shown(value: object) -> str:
    """Print a value for an error message, cut to a line; one that cannot be printed has a name."""
    try:
        text = repr(value)
    except Exception:  # The app's own __repr__ is at fault, and not what is being told.
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "..."


def mismatch_of(error: Exception, came: object, step: str) -> Mismatch:
    """Turn what a part's hook raised into a Mismatch that has passed ``step``."""
    if isinstance(error, Mismatch):
        error.came_through(step)
        return error
    if isinstance(error, InvalidValue):
        return Mismatch(f"a value that can go on the wire ({error})", came, step)
    # A validator of the app's own class said no.
    return Mismatch(f"another value ({error})", came, step)
