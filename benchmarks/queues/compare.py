"""All queues over one Redis and one disk, in turns: A B C …, A B C …, and so on."""

from __future__ import annotations

import signal
import statistics
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from benchmarks.figure import Figure, load_average
from benchmarks.queues.contender import Contender
from benchmarks.queues.library import CEILING, LIBRARIES, MANY, library
from benchmarks.queues.measure import RATE, Paced, Turn, loaded, paced, turn_size
from benchmarks.queues.ratio import ROUNDS, RUNS, best, quartiles, ratios
from benchmarks.queues.signalbox import BATCHED, PUTS, ROWS, SINGLE, signalbox
from signalbox.producers.embedded.redis_server import RedisServer

SLOW = ("rq", "taskiq")
NAMES = (
    *(*SLOW, *MANY),
    # What is compared with each other has its turns one right after the other.
    *(name for name in LIBRARIES if name not in SLOW),
    *(CEILING, BATCHED, SINGLE),
    *(name for name in ROWS if name not in (BATCHED, SINGLE)),
)
"""The rows, in the order of their turns."""
PACED = ("taskiq", "huey", "dramatiq", "celery", SINGLE)
"""Those whose latency is measured; RQ cannot keep up with the rate."""
SPLIT = (CEILING, BATCHED, SINGLE)
"""Rows of which the processor time is told by process."""
DRAWN = (*SLOW, *MANY, *LIBRARIES, CEILING, SINGLE, BATCHED, "signalbox 500")
"""Rows that are drawn beside each other."""
TURNS, PACED_TURNS = 8, 3
"""A turn is the eighth part of the seconds of load; at the fixed rate, the third."""
WARM = 40
"""Commands of the first turn of a row, or one call."""
THROUGHPUT, SUBMITTED = "throughput", "puts a submit"
"""Series of figures: rows beside each other, and Signalbox by batch size."""


def queue_cost(
    console: Console,
    data: Path,
    seconds: float,
    only: Collection[str] = NAMES,
    appendfsync: str = "always",
) -> list[Figure]:
    """Print the table; the figures, and ratios of those that were measured.

    `appendfsync` is of the one Redis that all of them use: with "everysec" what it acknowledged
    within the last second is lost in a power cut. Raises RuntimeError if an effect is missing.
    """
    server = RedisServer(data / "redis")
    names = [name for name in NAMES if name in only]
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    slow: dict[str, list[Paced]] = {name: [] for name in PACED if name in only}
    with _ending_in_order(), ExitStack() as ending:
        server.start()
        ending.callback(server.stop)
        client = redis.Redis.from_url(server.url)
        client.config_set("appendfsync", appendfsync)
        # A rewrite of the file would be one queue's fault and another's time.
        client.config_set("auto-aof-rewrite-percentage", 0)
        queues = _open(ending, data, server, only)
        last = {}
        for name in names:
            size = turn_size(WARM, queues[name].size, 1)
            last[name] = loaded(queues[name], f"{_slug(name)}_warm", size, server.pid).rate
        for number in range(RUNS * ROUNDS):
            for name in names:
                size = turn_size(last[name], queues[name].size, seconds / TURNS)
                turn = loaded(queues[name], f"{_slug(name)}_{number}", size, server.pid)
                turns[name].append(turn)
                last[name] = turn.rate
            if number % ROUNDS == ROUNDS - 1:
                for name, its in slow.items():
                    what = f"{_slug(name)}_paced_{number}"
                    its.append(paced(queues[name], what, seconds / PACED_TURNS, server.pid))
            console.print(f"round {number + 1} of {RUNS * ROUNDS} ({load_average()})")
    print_table(console, turns, appendfsync)
    return figures_of(turns, slow)


def figures_of(turns: dict[str, list[Turn]], slow: dict[str, list[Paced]]) -> list[Figure]:
    """Of every row, of the graph, and ratios."""
    figures = [figure for name, its in turns.items() for figure in _of_row(name, its)]
    figures += [figure for name, its in slow.items() for figure in _of_paced(name, its)]
    figures += _graph(turns)
    return figures + [figure for ratio in ratios(turns, slow) for figure in ratio.figures()]


def _open(
    ending: ExitStack, data: Path, server: RedisServer, only: Collection[str]
) -> dict[str, Contender]:
    """Start the workers of every queue that is wanted; they stand still until their turn."""
    found: dict[str, Contender] = {}
    for name, its in LIBRARIES.items():
        if {name, *its.many} & set(only):
            rows = ending.enter_context(library(name, data / name, server))
            rows[name].crew.pause()
            found |= rows
    if set(ROWS) & set(only):
        own = ending.enter_context(signalbox(data / SINGLE, server))
        own[SINGLE].crew.pause()
        found |= own
    return found


def _of_row(name: str, turns: Sequence[Turn]) -> list[Figure]:
    low, middle, high = quartiles([turn.rate for turn in turns])
    series = THROUGHPUT if name in DRAWN else ""
    micros = _median([turn.micros for turn in turns])
    synced = _median([turn.sync_ms for turn in turns])
    figures = [
        Figure(name, middle, "commands/s", low=low, high=high, series=series),
        Figure(f"{name}: µs a command", micros, "µs"),
        Figure(f"{name}: a sync of the disk", synced, "ms"),
    ]
    if name in SPLIT:
        for who in ("client", "redis", "workers"):
            spent = _median([turn.each(getattr(turn.cpu, who)) for turn in turns])
            figures.append(Figure(f"{name}: µs a command, {who}", spent, "µs"))
    return figures


def _of_paced(name: str, turns: Sequence[Paced]) -> list[Figure]:
    rate = f"at {RATE:.0f}/s"
    return [
        Figure(f"{name} {rate}: p50", _median([its.waits.median for its in turns]), "ms"),
        Figure(f"{name} {rate}: p99", _median([its.waits.at(99) for its in turns]), "ms"),
        Figure(f"{name} {rate}: µs a command", _median([i.turn.micros for i in turns]), "µs"),
    ]


def _graph(turns: dict[str, list[Turn]]) -> list[Figure]:
    """Signalbox over batch size, beside the best other queue."""
    figures = []
    for name, (size, work) in ROWS.items():
        if work is PUTS and turns.get(name):
            rate = _median([turn.rate for turn in turns[name]])
            what = f"Signalbox, {size} {SUBMITTED}"
            figures.append(Figure(what, rate, "commands/s", series=SUBMITTED, at=size))
    if other := best(turns, list(LIBRARIES)):
        rate = _median([turn.rate for turn in turns[other]])
        what = f"best other queue, single puts ({other})"
        figures.append(Figure(what, rate, "commands/s", series=SUBMITTED))
    return figures


def print_table(console: Console, turns: dict[str, list[Turn]], appendfsync: str) -> None:
    """Medians of the rounds."""
    title = f"1 KiB durable, enqueue to effect, appendfsync {appendfsync}"
    table = Table(title=f"{title} ({load_average()})")
    table.add_column("queue")
    for column in ("commands/s", "quartiles", "µs CPU", "client", "Redis", "workers", "sync ms"):
        table.add_column(column, justify="right")
    for name, its in turns.items():
        low, middle, high = quartiles([turn.rate for turn in its])
        cpus = [(t.cpu.all, t.cpu.client, t.cpu.redis, t.cpu.workers) for t in its]
        parts = [
            _median([turn.each(spent[at]) for turn, spent in zip(its, cpus, strict=True)])
            for at in range(4)
        ]
        cells = [f"{middle:,.0f}", f"{low:,.0f}–{high:,.0f}", *(f"{p:,.1f}" for p in parts)]
        table.add_row(name, *cells, f"{_median([turn.sync_ms for turn in its]):.2f}")
    console.print(table)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _slug(name: str) -> str:
    return name.replace(",", "").replace(" ", "_")


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM as an exception: workers that stand still would outlive this process."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
