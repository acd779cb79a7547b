"""Sends what was saved to the running server, and says what became of it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from flow_backend.cli.target import AdminClient, CommandError, Target, find_target
from flow_backend.deploy.plan_text import problem_lines, progress_text
from flow_backend.deploy.push import follow
from flow_backend.functions.package import Package, zip_package

_SECONDS: Final = 60.0
_NAMED_MAX: Final = 4
_CONFIRM: Final = "confirm"


@frozen
class Live:
    """A version serves; ``changes`` says in a line what is new in it."""

    number: int
    changes: str


@frozen
class NotLive:
    """What was saved cannot serve; the version before does. A line for each reason."""

    reasons: tuple[str, ...]


@define
class Pushes:
    """Puts versions in force on the server of a data folder. Blocks; one push at a time."""

    data: Path
    _target: Target | None = None
    _client: AdminClient | None = None
    _digest: str | None = field(default=None, init=False)

    def connect(self) -> None:
        """Find the server that has just become ready, and ask what it serves.

        Raises: CommandError.
        """
        self.close()
        self._target = find_target(None, None, str(self.data))
        self._client = self._target.client(_SECONDS)
        listed = self._client.get("/api/flow/deployments", limit=1)["deployments"]
        self._digest = listed[0]["digest"] if listed else None

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.__exit__(None, None, None)
            self._client = None

    def push(self, package: Package, told: Callable[[str], None]) -> Live | NotLive | None:
        """Put a package in force; None if it is what serves.

        Args:
            package: what was saved.
            told: hears where it stands, in words, while it takes long: an index may be built.

        Raises: CommandError if the server cannot be asked.
        """
        if package.digest == self._digest:
            return None
        if self._client is None:
            raise CommandError("The server is not ready")
        asked = {"origin": "dev", "package": package.name}
        begun = self._client.post("/api/flow/deploy", zip_package(package), **asked)
        deployment = follow(
            self._client, begun["number"], False, lambda each: told(progress_text(each))
        )
        if deployment["state"] in {"active", "past"}:
            self._digest = package.digest
            return Live(begun["number"], changes_text(deployment["summary"]))
        return NotLive(tuple(_reasons(deployment["problems"], package.name)))


def changes_text(summary: Mapping[str, Any]) -> str:
    """Say in a line what a version changes, by name where it is not much."""
    parts: list[str] = []
    for verb, name in (("new", "added"), ("changed", "changed"), ("gone", "removed")):
        names = [
            each
            for part in ("functions", "tables", "indexes", "crons", "routes")
            for each in summary.get(part, {}).get(name, ())
        ]
        if names:
            more = len(names) - _NAMED_MAX
            shown = ", ".join(names[:_NAMED_MAX])
            parts.append(f"{shown}{f' and {more} more' if more > 0 else ''} {verb}")
    return "; ".join(parts) or "the same functions and tables"


def _reasons(problems: list[Mapping[str, Any]], package: str) -> Iterator[str]:
    for line in problem_lines(problems):
        yield line.strip()
    if any(each["kind"] == _CONFIRM for each in problems):
        yield f"If you mean it, agree once: flow deploy --app {package} --yes"
