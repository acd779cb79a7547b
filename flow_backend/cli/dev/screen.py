"""What ``flow dev`` tells the person: lines with the time, and troubles one below the other."""

import sys
import time
from collections.abc import Iterable
from typing import Final, TextIO

from attrs import define, field

_RESET: Final = "\x1b[0m"
_GREEN: Final = "\x1b[32m"
_RED: Final = "\x1b[31m"
_DIM: Final = "\x1b[2m"


@define
class Screen:
    """Prints lines, in colour if a person reads them."""

    stream: TextIO = field(factory=lambda: sys.stdout)

    def good(self, text: str) -> None:
        """Tell that something is as it was wanted."""
        self._line(text, _GREEN)

    def plain(self, text: str) -> None:
        """Tell what is going on."""
        self._line(text, "")

    def bad(self, text: str, details: Iterable[str] = ()) -> None:
        """Tell that something is wrong; each of ``details`` has a line of its own."""
        self._line(text, _RED)
        for each in details:
            self._print(f"  {each}")

    def called(self, text: str, details: Iterable[str], *, failed: bool) -> None:
        """Show a call of a function."""
        self._line(text, _RED if failed else "")
        for each in details:
            self._print(f"  {each}")

    def passed_on(self, source: str, text: str) -> None:
        """Show a line that another program said."""
        self._print(f"{self._in(_DIM, source)} {text}")

    def _line(self, text: str, color: str) -> None:
        now = self._in(_DIM, time.strftime("%H:%M:%S"))
        self._print(f"{now} {self._in(color, text)}")

    def _in(self, color: str, text: str) -> str:
        return f"{color}{text}{_RESET}" if color and self.stream.isatty() else text

    def _print(self, text: str) -> None:
        print(text, file=self.stream, flush=True)
