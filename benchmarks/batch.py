"""Enqueue to outcome: durable 1 KiB puts on the embedded backend, by commands a submit."""

from __future__ import annotations

from benchmarks.figure import NOISE, Figure
from benchmarks.lane import for_seconds, lane, puts
from benchmarks.part import Bench

TENANT = "t_bench"
SIZES = (1, 10, 100, 500)
AHEAD = 400
"""Commands on their way at any time."""


def batch_cost(bench: Bench) -> list[Figure]:
    """Commands a second with two workers, processor time a command, and what a batch saves."""
    figures: list[Figure] = []
    with lane(bench.data) as it:
        it.route(TENANT)
        it.run([puts(TENANT, 100)] * 4)
        costs = {}
        for size in SIZES:
            ahead = max(2, AHEAD // size)
            costs[size] = it.cost(for_seconds(TENANT, size, bench.seconds), ahead)
    for size, cost in costs.items():
        figures += [
            Figure(f"Signalbox, {size} a submit", cost.rate, "commands/s", series="throughput"),
            Figure(f"processor time, {size} a submit", cost.micros, "µs a command"),
        ]
        if size > 1:
            faster = cost.rate / costs[1].rate
            figures.append(Figure(f"{size} a submit to single", faster, "x", tolerance=NOISE))
    return figures
