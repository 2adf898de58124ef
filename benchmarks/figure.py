"""One measured figure with its aim, measured times, and how they are spread."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NOISE = 0.35
"""The part by which a ratio of two runs may differ on a machine that others use as well."""


@dataclass(frozen=True)
class Figure:
    """A value in its unit. `name` is unique in its part."""

    name: str
    value: float
    unit: str
    least: float | None = None
    """The aim: not below it."""
    most: float | None = None
    """The aim: not above it."""
    tolerance: float | None = None
    """Of a ratio that `make bench-check` compares: the part by which it may be worse."""
    low: float | None = None
    """Of several rounds: a quarter of them was below."""
    high: float | None = None
    """A quarter was above."""
    series: str = ""
    """Figures of one series are drawn together."""
    at: float | None = None
    """Its position in the series: routes, tenants, commands."""

    @property
    def kept(self) -> bool | None:
        """Whether the aim was met; None without an aim."""
        if self.least is None and self.most is None:
            return None
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)

    @property
    def spelled(self) -> str:
        """The value, with the middle half of the rounds."""
        if self.low is None or self.high is None:
            return spell(self.value)
        return f"{spell(self.value)} ({spell(self.low)}–{spell(self.high)})"

    @property
    def aim(self) -> str:
        """The aim in words, or nothing."""
        words = [f"≥ {spell(self.least)}"] if self.least is not None else []
        words += [f"≤ {spell(self.most)}"] if self.most is not None else []
        return " and ".join(words)

    @property
    def less_is_better(self) -> bool:
        return self.most is not None


def spell(value: float) -> str:
    """A value for people: three digits that count, thousands apart."""
    if value == int(value) and abs(value) < 10**15:
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


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
