"""What the server counts, and how operators read it."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from attrs import asdict, define, field

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@define
class SocketCounters:
    """What all WebSockets together did. Plain numbers: counting must cost next to nothing.

    Attributes:
        slow: how often a socket did not take at once what was pushed.
        stalled: sockets closed since their peer took nothing for too long.
        overflows: sockets closed since too much was waiting for them.
        silent: sockets closed since nothing came from their peer for too long.
        too_fast: sockets closed since their peer kept sending faster than it may.
    """

    messages_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    slow: int = 0
    stalled: int = 0
    overflows: int = 0
    silent: int = 0
    too_fast: int = 0


@define
class ServerCounters:
    """What the listener did.

    Attributes:
        open: connections now, of any kind.
        sessions: WebSockets now.
        accepted: connections ever.
        refused: connections turned away since there were too many.
        rate_refused: connections turned away since their address has too many, or too often.
        accept_pauses: how often the process had no file descriptor or memory left.
        head_timeouts: connections that were too slow in saying what they want.
        failures: connections that ended by a mistake of the server's.
    """

    open: int = 0
    sessions: int = 0
    accepted: int = 0
    refused: int = 0
    rate_refused: int = 0
    accept_pauses: int = 0
    head_timeouts: int = 0
    failures: int = 0
    http_requests: int = 0
    sockets: SocketCounters = field(factory=SocketCounters)

    def by_name(self) -> dict[str, float]:
        """Give all numbers by their metric's name; what only grows ends in ``_total``."""
        numbers: dict[str, float] = {"connections": self.open, "sessions": self.sessions}
        for name in ("accepted", "refused", "rate_refused", "head_timeouts", "failures"):
            numbers[f"connections_{name}_total"] = getattr(self, name)
        numbers["accept_pauses_total"] = self.accept_pauses
        numbers["http_requests_total"] = self.http_requests
        counts: dict[str, int] = asdict(self.sockets)
        numbers |= {f"socket_{name}_total": count for name, count in counts.items()}
        return numbers


def render(numbers: Mapping[str, float]) -> bytes:
    """Write the numbers in Prometheus' text format; a name that ends in ``_total`` is a counter."""
    # Imported here, since a server that nobody scrapes can do without.
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(numbers))
    return generate_latest(registry)


class _Numbers:
    def __init__(self, numbers: Mapping[str, float]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterable["Metric"]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        for name, value in sorted(self._numbers.items()):
            words = name.removesuffix("_total").replace("_", " ")
            if name.endswith("_total"):
                yield CounterMetricFamily(f"flow_{name}", f"Flow: {words}.", value)
            else:
                yield GaugeMetricFamily(f"flow_{name}", f"Flow: {words}.", value)
