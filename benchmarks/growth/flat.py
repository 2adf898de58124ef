"""Figures of a cost that is to stay the same while something else grows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.figure import NOISE, Figure

FLAT = 1.15
"""The aim: what is most costly is so many times what is least."""


def flat(what: str, rows: Mapping[int, Sequence[float]]) -> list[Figure]:
    """`rows` holds the measured microseconds of processor time a command at each number of
    `what`; medians of them, and the ratio of the most to the least."""
    medians = {number: statistics.median(values) for number, values in rows.items()}
    figures = [
        Figure(f"{number:,} {what}", value, "µs of CPU a command", series=what, at=number)
        for number, value in medians.items()
    ]
    ratio = max(medians.values()) / min(medians.values())
    name = f"most to least, {min(rows):,} to {max(rows):,} {what}"
    return [*figures, Figure(name, ratio, "x", most=FLAT, tolerance=NOISE)]
