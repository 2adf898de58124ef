"""Ratios of what was measured in turns, with their aims, and how well they repeat."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figure import NOISE, Figure
from benchmarks.queues.library import CEILING, LIBRARIES, MANY
from benchmarks.queues.measure import Paced, Turn
from benchmarks.queues.signalbox import BATCHED, SINGLE

RUNS, ROUNDS = 3, 3
"""The rounds are three runs of so many, so that one can see whether a ratio repeats."""
APART = 20.0
"""Per cent by which the ratios of three runs may differ."""
CELERY = "celery"
TO_OTHER, TO_CELERY, TO_CEILING = 10.0, 30.0, 0.6
"""Aims of 100 a submit: at least so many times the rate of the single puts, and of the ceiling."""
SINGLE_TO_OTHER, SINGLE_CPU, PACED_CPU, PACED_P50 = 1.3, 0.5, 1.2, 1.0
"""Aims of single commands: the rate at least, the others at most."""


@dataclass(frozen=True)
class Ratio:
    """Of two rows, within each round: so what else the machine does meanwhile is in both."""

    name: str
    values: Sequence[float]
    least: float | None = None
    most: float | None = None
    compared: bool = True
    """By `make bench-check`."""

    def figures(self) -> list[Figure]:
        """The median, and how far the medians of the runs are apart."""
        low, middle, high = quartiles(self.values)
        tolerance = NOISE if self.compared else None
        figures = [Figure(self.name, middle, "x", self.least, self.most, tolerance, low, high)]
        if self.least is not None or self.most is not None:
            figures.append(Figure(f"{self.name}: runs differ by", self.apart, "%", most=APART))
        return figures

    @property
    def apart(self) -> float:
        """Per cent between the least and the greatest median of a run."""
        size = max(1, len(self.values) // RUNS)
        starts = range(0, size * min(RUNS, len(self.values)), size)
        medians = [statistics.median(self.values[start : start + size]) for start in starts]
        return (max(medians) - min(medians)) / statistics.median(self.values) * 100


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """What a quarter, a half and three quarters of the values are not above."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def best(turns: Mapping[str, Sequence[Turn]], names: Sequence[str]) -> str | None:
    """Which of these rows is fastest by the median; None unless all were measured."""
    if not all(turns.get(name) for name in names):
        return None
    return max(names, key=lambda name: statistics.median(turn.rate for turn in turns[name]))


def ratios(
    turns: Mapping[str, Sequence[Turn]], paced: Mapping[str, Sequence[Paced]]
) -> list[Ratio]:
    """Those whose rows were measured."""
    found: list[Ratio] = []
    other, many = best(turns, list(LIBRARIES)), best(turns, MANY)
    for name in [name for name in turns if name.startswith(SINGLE)]:
        batched = name.startswith(BATCHED)
        if name != BATCHED and not name.startswith(f"{BATCHED} ") and name != SINGLE:
            continue
        aim = TO_OTHER if batched else SINGLE_TO_OTHER
        if other is not None:
            found.append(_rates(turns, name, other, "the best other queue's single puts", aim))
        if CELERY in turns:
            aim_celery = TO_CELERY if batched else None
            found.append(_rates(turns, name, CELERY, "bare Celery's single puts", aim_celery))
            found.append(_cpu(turns, name, "bare Celery", None if batched else SINGLE_CPU))
        if batched and CEILING in turns:
            found.append(_rates(turns, name, CEILING, "the ceiling", TO_CEILING))
    if BATCHED in turns and many is not None:
        found.append(_rates(turns, BATCHED, many, "the best other queue's form of many", None))
    if SINGLE in paced and CELERY in paced:
        pairs = list(zip(paced[SINGLE], paced[CELERY], strict=True))
        what = f"{SINGLE} to bare Celery at 40/s"
        cpu = [ours.turn.micros / theirs.turn.micros for ours, theirs in pairs]
        p50 = [ours.waits.median / theirs.waits.median for ours, theirs in pairs]
        found.append(Ratio(f"{what}, processor time", cpu, most=PACED_CPU))
        found.append(Ratio(f"{what}, p50", p50, most=PACED_P50))
    return found


def _rates(
    turns: Mapping[str, Sequence[Turn]], name: str, to: str, what: str, least: float | None
) -> Ratio:
    pairs = zip(turns[name], turns[to], strict=True)
    values = [ours.rate / theirs.rate for ours, theirs in pairs]
    return Ratio(f"{name} to {what}, commands/s", values, least=least)


def _cpu(turns: Mapping[str, Sequence[Turn]], name: str, what: str, most: float | None) -> Ratio:
    pairs = zip(turns[name], turns[CELERY], strict=True)
    values = [ours.micros / theirs.micros for ours, theirs in pairs]
    # Less is better: without an aim it is not compared.
    return Ratio(f"{name} to {what}, processor time", values, most=most, compared=most is not None)
