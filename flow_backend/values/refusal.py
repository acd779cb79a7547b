"""Says why a value is refused, and where in it; holds the limits that every value keeps."""

from typing import Final

from flow_backend.errors import InvalidValue

NESTING_MAX: Final = 64
ARRAY_MAX: Final = 8192
FIELDS_MAX: Final = 1024

_PATH_SHOWN_MAX: Final = 200


class Refusal(InvalidValue):
    """An invalid value, with the path to the part that is at fault.

    The path is put together while the error goes up through the containers, so that a walk over
    a valid value pays nothing for it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = ""

    def __str__(self) -> str:
        if not self.path:
            return self.reason
        path = self.path
        if len(path) > _PATH_SHOWN_MAX:
            path = f"…{path[-_PATH_SHOWN_MAX:]}"
        return f"{self.reason} (at {path})"

    def came_through(self, step: str) -> None:
        """Note a container that the error passes: ``.name`` or ``[index]``."""
        self.path = step + self.path


def refuse_nesting() -> InvalidValue:
    """Give the error for a container inside 64 others; a path of 64 steps would help nobody."""
    levels = NESTING_MAX + 1
    return InvalidValue(
        f"Value is too nested (nested {levels} levels deep > maximum nesting {NESTING_MAX})"
    )


def refuse_array(length: int) -> Refusal:
    """Give the error for an array of more than 8192 items."""
    return Refusal(f"Array length is too long ({length} > maximum length {ARRAY_MAX})")


def refuse_object(count: int) -> Refusal:
    """Give the error for an object of more than 1024 fields."""
    return Refusal(f"Object has too many fields ({count} > maximum number {FIELDS_MAX})")


def refuse_type(value: object) -> Refusal:
    """Give the error for what is no value at all."""
    return Refusal(
        f"{type(value).__name__} is not a value; values are None, bool, int, float, Int64, str, "
        "bytes, list, tuple and dict"
    )


def refuse_text() -> Refusal:
    """Give the error for a string that has no UTF-8 form."""
    return Refusal("string has a lone surrogate, so it cannot be written as UTF-8")
