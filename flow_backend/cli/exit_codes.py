"""What each exit code of the server means, and which of them no restart can mend."""

from collections.abc import Mapping
from typing import Final

from attrs import frozen


@frozen
class Ending:
    """One way in which the server ends; both texts are those of docs/running.md.

    Attributes:
        is_final: whether it would end the same way again, so that no restart mends it.
    """

    means: str
    do: str
    is_final: bool = False


USAGE: Final = 64
DATA: Final = 65
INTERNAL: Final = 70
DISK: Final = 74

ENDINGS: Final[Mapping[int, Ending]] = {
    0: Ending("it was told to stop, and has done all that it had accepted", "nothing"),
    1: Ending(
        "it could not start for another reason, such as a port that is taken; or the watchdog "
        "ended it",
        "read the message, or the traceback",
    ),
    USAGE: Ending("an option or setting cannot be used", "read the message", is_final=True),
    DATA: Ending(
        "the app has a mistake, or the database is damaged",
        "read the message: file and line, or what was found",
        is_final=True,
    ),
    INTERNAL: Ending(
        "a part of the server failed again and again", "report it; the log has the last error"
    ),
    71: Ending("there was not enough memory, twice within a minute", "give it more"),
    73: Ending(
        "the data folder cannot be used: another server has it, it cannot be written, or it holds "
        "a newer version's data",
        "read the message",
        is_final=True,
    ),
    DISK: Ending(
        "the disk failed while writing",
        "check the disk, then start again: the server reads what it really holds",
    ),
    130: Ending("a second signal ended it at once", "nothing: what was acknowledged is there"),
}
"""Each exit code of ``flow serve``. Others are those of a signal, or of the app's own code."""

FINAL: Final[Mapping[int, str]] = {
    code: ending.means for code, ending in ENDINGS.items() if ending.is_final
}
"""What no restart can mend, and why."""
