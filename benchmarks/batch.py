"""Enqueue to outcome: durable 1 KiB puts on the embedded backend, by commands a submit."""

from __future__ import annotations

from benchmarks.figure import NOISE, Figure
from benchmarks.part import Bench
from benchmarks.testbed import Cost, for_seconds, open_testbed, puts

TENANT = "t_bench"
ROWS = ((1, 50), (10, 400), (100, 400), (500, 2000))
"""Commands a submit, and on their way."""
SPLIT = (ROWS[0], ROWS[2])
"""Rows of which the parts are told; docs/scaling.md reckons with them."""


def batch_cost(bench: Bench) -> list[Figure]:
    """Commands a second with two workers, processor time a command, and what a batch saves."""
    figures: list[Figure] = []
    with open_testbed(bench.data) as it:
        it.route(TENANT)
        it.run(puts(TENANT, 100) for _ in range(20))
        costs = [it.cost(for_seconds(TENANT, size, bench.seconds), n) for size, n in ROWS]
    for (size, _), cost in zip(ROWS, costs, strict=True):
        name = "single" if size == 1 else f"{size} a submit"
        figures += [
            Figure(f"Signalbox, {name}", cost.rate, "commands/s", series="throughput"),
            Figure(f"processor time, {name}", cost.micros, "µs a command"),
        ]
        if cost is not costs[0]:
            faster = cost.rate / costs[0].rate
            figures.append(Figure(f"{name} to single", faster, "x", tolerance=NOISE))
    for size, ahead in SPLIT:
        figures += _parts(
            costs[ROWS.index((size, ahead))], "single" if size == 1 else f"{size} a submit"
        )
    return figures


def _parts(cost: Cost, what: str) -> list[Figure]:
    spent = cost.spent
    return [
        Figure(f"of the client, {what}", cost.each(spent.client) * 1e6, "µs a command"),
        Figure(f"of the workers, {what}", cost.each(spent.workers) * 1e6, "µs a command"),
        Figure(f"of Redis, {what}", cost.each(spent.redis) * 1e6, "µs a command"),
        Figure(f"what Redis writes, {what}", cost.each(spent.written), "bytes a command"),
    ]
