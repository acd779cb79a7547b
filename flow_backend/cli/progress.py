"""Shows how far a command has come: a line that changes in a terminal, else one now and then."""

import sys
from time import monotonic
from types import TracebackType
from typing import Final, Literal, Self

import click
from attrs import define, field

_REDRAW_SECONDS: Final = 0.1
_LINE_SECONDS: Final = 10.0
_BAR: Final = 30


@define
class Progress:
    """Shows a number that grows, up to ``total`` if that is known; use it in a with block."""

    what: str
    unit: Literal["bytes", "documents"]
    total: int | None
    done: int = 0
    _shown_at: float = field(factory=monotonic)
    _is_terminal: bool = field(factory=sys.stderr.isatty)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._is_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)

    def add(self, more: int) -> None:
        """Come further."""
        self.set(self.done + more)

    def set(self, done: int) -> None:
        """Have come so far."""
        self.done = done
        now = monotonic()
        if now - self._shown_at < (_REDRAW_SECONDS if self._is_terminal else _LINE_SECONDS):
            return
        self._shown_at = now
        if self._is_terminal:
            click.echo(f"\r\x1b[K{self.line()}", nl=False, err=True)
        else:
            click.echo(self.line(), err=True)

    def line(self) -> str:
        """Give the line that says how far it is."""
        if self.unit == "bytes":
            shown = f"{self.done / 2**20:,.1f} MiB"
        else:
            shown = f"{self.done:,} {self.unit}"
        if not self.total:
            return f"{self.what}: {shown}"
        share = min(1.0, self.done / self.total)
        filled = int(share * _BAR)
        return f"{self.what} [{'█' * filled}{'░' * (_BAR - filled)}] {share:4.0%} {shown}"
