"""Figures of a cost that is to stay the same while something else grows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.figure import NOISE, Figure

FLAT = 1.15
"""The aim: what is most costly is so many times what is least."""


def flat(what: str, rows: Mapping[int, Sequence[float]], most: float = FLAT) -> list[Figure]:
    """`rows` holds the measured microseconds of processor time a command at each number of
    `what`; medians of them, and the ratio of the most to the least, with its aim."""
    figures = medians(what, rows)
    values = [figure.value for figure in figures]
    name = f"most to least, {min(rows):,} to {max(rows):,} {what}"
    ratio = max(values) / min(values)
    return [*figures, Figure(name, ratio, "x", most=most, tolerance=NOISE)]


def medians(what: str, rows: Mapping[int, Sequence[float]]) -> list[Figure]:
    """A figure for each number of `what`, as one series."""
    return [
        Figure(
            f"{number:,} {what}",
            statistics.median(values),
            "µs of CPU a command",
            series=what,
            at=number,
        )
        for number, values in rows.items()
    ]
