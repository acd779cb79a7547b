"""Says in one line, before the tests, what will be left out on this machine."""

import shutil
import sys

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Give the path of a Chromium, or None."""
    return next((path for name in CHROMIUMS if (path := shutil.which(name))), None)


if __name__ == "__main__" and find_chromium() is None:
    sys.stdout.write("No Chromium was found: the browser tests are left out.\n")
