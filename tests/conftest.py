"""What holds for all tests."""

import os

# Servers that tests start keep no room on the disk for the day when it is full: there are many.
os.environ.setdefault("FLOW_BALLAST_BYTES", "0")
