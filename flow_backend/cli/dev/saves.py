"""Tells when files of the app were saved."""

from contextlib import suppress
from pathlib import Path
from typing import Final

import trio

_SETTLED_MS: Final = 20
"""So long nothing more is written: editors write a file in several steps."""

_LONGEST_MS: Final = 500
_LOOK_MS: Final = 500


async def watch(folder: Path, changed: trio.MemorySendChannel[None]) -> None:
    """Say each time that something in a package was saved; once more when the watch begins.

    What is said while nobody listens is said once.
    """
    # Only here: no other command needs it.
    from watchfiles import Change, awatch

    def matters(_change: Change, path: str) -> bool:
        parts = Path(path).relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        # Backups and locks of editors; the web client's build is no part of the package.
        return not hidden and not path.endswith("~") and parts[:1] != ("web",)

    begun = False
    async with changed:
        # The timeout brings an empty set soon after the watch is set up. Whoever looks at the files
        # after that misses nothing.
        async for files in awatch(
            folder,
            watch_filter=matters,
            debounce=_LONGEST_MS,
            step=_SETTLED_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
        ):
            if files or not begun:
                begun = True
                # If it is full, it is known already that there is something to look at.
                with suppress(trio.WouldBlock):
                    changed.send_nowait(None)
