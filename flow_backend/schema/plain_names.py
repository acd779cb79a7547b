"""Names of an app's modules as its author knows them: without the number of a version.

A version's modules stand in ``sys.modules`` as ``flow@12.tasks``. What a person reads says
``flow.tasks``, and so must all that is compared between two versions.
"""

import re
from typing import Final

_SEPARATOR: Final = "@"
_NEVER: Final = re.compile(r"(?!)")
_packages: Final[set[str]] = set()
_numbered: re.Pattern[str] = _NEVER


def version_name(package: str, number: int) -> str:
    """Give the name of a version's package in ``sys.modules``; no identifier is like it."""
    global _numbered  # One pattern for the few packages that a process ever loads.
    if package not in _packages:
        _packages.add(package)
        names = "|".join(sorted(map(re.escape, _packages)))
        _numbered = re.compile(rf"\b({names}){_SEPARATOR}\d+\b")
    return f"{package}{_SEPARATOR}{number}"


def plain_names(text: str) -> str:
    """Leave the numbers of versions out of a text."""
    return _numbered.sub(r"\1", text) if _SEPARATOR in text else text
