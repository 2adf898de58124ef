"""A backlog of 1,000 to 100,000 commands that stood still and is worked off."""

from __future__ import annotations

import os
import signal
import time

from benchmarks.figure import Figure
from benchmarks.growth.flat import flat
from benchmarks.part import Bench
from benchmarks.testbed import Testbed, open_testbed, puts

LEVELS, FULL_LEVELS = (1_000, 10_000, 100_000), (1_000_000,)
TENANT, BATCH = "t_bench", 500
SLOWEST = 500.0
"""Commands a second; slower than that, something stands still."""


def drain_growth(bench: Bench) -> list[Figure]:
    """Processor time of workers and Redis a command, and commands a second."""
    rows: dict[int, list[float]] = {}
    rates = {}
    with open_testbed(bench.data, max_open=0) as it:
        it.route(TENANT)
        it.run(puts(TENANT, 100) for _ in range(20))
        for level in LEVELS + (FULL_LEVELS if bench.full else ()):
            rows[level], rates[level] = [], 0.0
            # A short one says little: it is played until there is something to measure.
            for _ in range(max(1, 10_000 // level)):
                micros, rate = _drain(it, level)
                rows[level].append(micros)
                rates[level] = max(rates[level], rate)
    throughput = [
        Figure(f"throughput, backlog of {level:,}", rate, "commands/s")
        for level, rate in rates.items()
    ]
    return [*throughput, *flat("backlog", rows)]


def _drain(it: Testbed, level: int) -> tuple[float, float]:
    """Microseconds of processor time a command, and commands a second."""
    _signal(it, signal.SIGSTOP)
    try:
        for first in range(0, level, BATCH):
            it.client.submit_many(puts(TENANT, min(BATCH, level - first)))
        before, started = it.spent(), time.perf_counter()
    finally:
        _signal(it, signal.SIGCONT)
    end = time.monotonic() + 60 + level / SLOWEST
    while it.client.ledger.totals()["open"]:
        if time.monotonic() > end:
            raise RuntimeError(f"the backlog of {level} was not worked off")
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    spent = it.spent().since(before)
    return (spent.workers + spent.redis) / level * 1e6, level / seconds


def _signal(it: Testbed, number: int) -> None:
    for worker in it.stack.workers:
        os.kill(worker.pid, number)
