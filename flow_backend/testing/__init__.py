"""For the tests of apps: ``TestApp``, a whole backend in memory whose clock the test moves.

What else stands in here tests the backend itself: simulation, links and clients in memory.
"""

from flow_backend.functions.registry import make_app
from flow_backend.testing.app import Calls, TestApp
from flow_backend.testing.failures import NeverEnds, NothingOutside
from flow_backend.testing.watch import Watch

__all__ = ["Calls", "NeverEnds", "NothingOutside", "TestApp", "Watch", "make_app"]
