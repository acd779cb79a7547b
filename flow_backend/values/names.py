"""The rules for names: of object fields, of document fields, and identifiers."""

import re
from collections.abc import Iterable
from typing import Final

from flow_backend.errors import InvalidValue
from flow_backend.values.refusal import Refusal

FIELD_NAME_MAX: Final = 1024
IDENTIFIER_MAX: Final = 64
SYSTEM_FIELDS: Final = frozenset({"_id", "_creationTime"})

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# An app has few field names and uses each of them millions of times, so a name that was found good
# is remembered. What clients send lands here too: the bound, and forgetting all when it is
# reached, keep them from filling it for good.
_KNOWN_MAX: Final = 4096
_KNOWN_NAME_MAX: Final = 64
_known: Final = set[object]()


def check_field_names(names: Iterable[object]) -> None:
    """Check the field names of one object, which may stand at any depth.

    Raises: InvalidValue for a name that is no string, too long, not printable ASCII, or begins
        with ``$``.
    Source: the values, "Field names and identifiers".
    """
    if _known.issuperset(names):
        return
    for name in names:
        check_field_name(name)


def check_field_name(name: object) -> None:
    """Check one field name; see :func:`check_field_names`."""
    if not isinstance(name, str):
        raise Refusal(f"Field names are strings, not {type(name).__name__}")
    if len(name) > FIELD_NAME_MAX:
        raise Refusal(f"Field name is too long ({len(name)} > maximum {FIELD_NAME_MAX})")
    if name.startswith("$"):
        raise Refusal(f"Field name {_shown(name)} starts with '$', which is reserved.")
    if not (name.isascii() and name.isprintable()):
        bad = next(c for c in name if not (c.isascii() and c.isprintable()))
        raise Refusal(
            f"Field name {_shown(name)} has invalid character '{_shown(bad)}': "
            "Field names can only contain non-control ASCII characters"
        )
    if len(name) <= _KNOWN_NAME_MAX:
        if len(_known) >= _KNOWN_MAX:
            _known.clear()
        _known.add(name)


def check_document_names(names: Iterable[str]) -> None:
    """Check the names of a document's own fields: as elsewhere, and ``_`` is the system's.

    Raises: InvalidValue.
    """
    check_field_names(names)
    for name in names:
        if name[:1] == "_" and name not in SYSTEM_FIELDS:
            raise Refusal(
                f"Field '{name}' starts with an underscore, which is only allowed for system "
                "fields like '_id'"
            )


def check_identifier(name: str) -> None:
    """Check the name of a table, a declared field or a function.

    Raises: InvalidValue.
    Source: the values, "Field names and identifiers".
    """
    if not name:
        raise InvalidValue("Identifier cannot be empty")
    if len(name) > IDENTIFIER_MAX:
        raise InvalidValue(f"Identifier is too long ({len(name)} > maximum {IDENTIFIER_MAX})")
    if not _IDENTIFIER.fullmatch(name):
        raise InvalidValue(
            f"Invalid identifier {_shown(name)}: Identifiers must start with an alphabetic "
            "character or underscore, and go on with letters, digits and underscores"
        )
    if not name.strip("_"):
        raise InvalidValue(f"Invalid identifier {name}: it cannot be only underscores")


def _shown(text: str) -> str:
    # A message goes on the wire as UTF-8, which a lone surrogate in it would prevent.
    return text.encode("utf-8", "backslashreplace").decode()
