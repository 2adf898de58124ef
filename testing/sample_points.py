"""Sample points with several label sets, and the order that queries must return them in."""

from __future__ import annotations

from signalbox.commands.metrics_store import Point, canonical_labels
from signalbox.testing.metrics_caller import MetricsCaller, point

SAMPLE_POINTS = [
    *(point(n * 1.5 - 20, n * 0.7, host="ab"[n % 2], zone="xyz"[n % 3]) for n in range(40)),
    point(1000, 3.5),
    point(-1000, 17.25, zone="x"),
]
"""The sample points, with gaps and never two at one time."""


def in_order(points: list[Point]) -> list[Point]:
    """Return the points in the order of a query."""
    return sorted(points, key=lambda p: (p.timestamp, canonical_labels(p.labels).encode()))


def ingest_samples(metrics: MetricsCaller) -> None:
    """Ingest the sample points in reverse order, and a point of another series."""
    metrics.ingest(*reversed(SAMPLE_POINTS))
    metrics.ingest(point(5, 1, series="other", host="a"))
