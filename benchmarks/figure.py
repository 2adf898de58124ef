"""Measured times, and how they are spread."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence


class Spread:
    """Of some measured times, in the unit they came in."""

    def __init__(self, values: Sequence[float]) -> None:
        self._sorted = sorted(values)

    def at(self, percent: float) -> float:
        """The value that so many per cent are not above."""
        return self._sorted[min(len(self._sorted) - 1, int(len(self._sorted) * percent / 100))]

    @property
    def median(self) -> float:
        return statistics.median(self._sorted)

    def __str__(self) -> str:
        return (
            f"p50 {self.median:.2f} ms, p99 {self.at(99):.2f} ms, worst {self._sorted[-1]:.2f} ms"
        )


def milliseconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return (time.perf_counter() - started) * 1e3


def load_average() -> str:
    """How busy the machine is with everything, beside the figures that depend on it."""
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
