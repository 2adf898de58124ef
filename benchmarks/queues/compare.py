"""All queues, one after the other, over one Redis and one disk."""

from __future__ import annotations

import math
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figure import load_average
from benchmarks.queues.contender import LIBRARIES, Contender, library
from benchmarks.queues.measure import RATE, QueueCost, measure
from benchmarks.queues.signalbox import signalbox
from commands.state import connect
from producers.embedded.redis_server import RedisServer

SIZES = {"signalbox": 1, "signalbox 100": 100, "signalbox 500": 500}
"""Commands a submit."""
NAMES = (*LIBRARIES, *SIZES)


def queue_cost(
    console: Console,
    data: Path,
    seconds: float,
    only: Collection[str] = NAMES,
    appendfsync: str = "always",
) -> dict[str, float]:
    """Print the table; figures by "queue: unit", and ratios of those that were measured.

    `seconds` is the length of a round. `appendfsync` is of the one Redis that all of them use:
    with "everysec" what it acknowledged within the last second is lost in a power cut.
    Raises RuntimeError if an effect is missing.
    """
    redis = RedisServer(data / "redis")
    redis.start()
    costs: dict[str, QueueCost] = {}
    try:
        connect(redis.url).config_set("appendfsync", appendfsync)
        for name in [name for name in NAMES if name in only]:
            with _open(name, data / name.replace(" ", "-"), redis) as queue:
                costs[name] = measure(queue, redis.pid, seconds)
            console.print(f"{name}: {costs[name].rate:,.0f}/s ({load_average()})")
    finally:
        redis.stop()
    _print(console, costs, appendfsync)
    figures: dict[str, float] = {}
    for name, cost in costs.items():
        figures[f"{name}: commands/s"] = cost.rate
        figures[f"{name}: µs a command"] = cost.micros
        if not math.isnan(cost.p50):
            figures[f"{name}: p50 ms"] = cost.p50
            figures[f"{name}: p99 ms"] = cost.p99
            figures[f"{name}: µs a command at {RATE:.0f}/s"] = cost.idle_micros
    ratios = _ratios(costs)
    for what, ratio in ratios.items():
        console.print(f"{what}: {ratio:.2f}")
    return figures | ratios


def _open(name: str, data: Path, redis: RedisServer) -> AbstractContextManager[Contender]:
    if name in SIZES:
        return signalbox(SIZES[name], data, redis)
    return library(name, data, redis)


def _ratios(costs: dict[str, QueueCost]) -> dict[str, float]:
    ratios: dict[str, float] = {}
    others = [cost.rate for name, cost in costs.items() if name in LIBRARIES]
    bare = costs.get("celery")
    for name in [name for name in SIZES if name in costs]:
        its = costs[name]
        if len(others) == len(LIBRARIES):
            ratios[f"{name} to the best other queue, commands/s"] = its.rate / max(others)
        if bare is not None:
            ratios[f"{name} to bare Celery, commands/s"] = its.rate / bare.rate
            ratios[f"{name} to bare Celery, processor time"] = its.micros / bare.micros
    return ratios


def _print(console: Console, costs: dict[str, QueueCost], appendfsync: str) -> None:
    title = f"1 KiB durable put, enqueue to effect, appendfsync {appendfsync}"
    table = Table(title=f"{title} ({load_average()})")
    columns = ("commands/s", "µs CPU", f"µs CPU at {RATE:.0f}/s", "p50 ms", "p99 ms")
    table.add_column("queue")
    for column in columns:
        table.add_column(column, justify="right")
    for name, cost in costs.items():
        values = (cost.rate, cost.micros, cost.idle_micros, cost.p50, cost.p99)
        table.add_row(name, *("–" if math.isnan(value) else f"{value:,.1f}" for value in values))
    console.print(table)
