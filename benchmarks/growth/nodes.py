"""The ledger alone on a Redis Cluster of 1, 2 and 3 nodes."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figure import Figure
from benchmarks.parcel_steps import ParcelSteps
from benchmarks.part import Bench
from benchmarks.testbed import cpu_of
from signalbox.commands.state import connect
from tests.redis_cluster import RedisCluster

NODES = (1, 2, 3)
TENANTS, THREADS = 128, 4
BATCH, ROUNDS = 100, 4


@dataclass(frozen=True)
class _Run:
    """What one round took."""

    rate: float
    """Commands a second."""
    client: float
    """Microseconds of processor time a command, of this process."""
    nodes: Sequence[float]
    """The same of each node, by all commands, whichever of them it had."""


def node_growth(bench: Bench) -> list[Figure]:
    """Accept, take and end of 1 KiB puts, 100 a call, by four threads of one process."""
    runs: dict[int, list[_Run]] = {number: [] for number in NODES}
    with ExitStack() as stack:
        ledgers = {n: stack.enter_context(_measured_ledger(bench.data / str(n), n)) for n in NODES}
        # In turns, so that what else the machine does is shared by all.
        for _ in range(ROUNDS):
            for number, ledger in ledgers.items():
                runs[number].append(ledger.run(bench.seconds / ROUNDS))
    figures: list[Figure] = []
    alone = 0.0
    for number, its in runs.items():
        nodes = "1 node" if number == 1 else f"{number} nodes"
        rate = statistics.median(run.rate for run in its)
        busiest = statistics.median(max(run.nodes) for run in its)
        total = statistics.median(sum(run.nodes) for run in its)
        client = statistics.median(run.client for run in its)
        alone = alone or busiest
        figures += [
            Figure(f"throughput, {nodes}", rate, "commands/s"),
            Figure(f"processor time of all, {nodes}", total, "µs a command"),
            Figure(f"processor time of the busiest, {nodes}", busiest, "µs a command"),
            Figure(f"processor time of the client, {nodes}", client, "µs a command"),
            Figure(f"that the busiest could carry, {nodes}", 1e6 / busiest, "commands/s"),
        ]
        if number > 1:
            name = f"that the busiest could carry, {nodes} to 1"
            # Shards are as equal as their number allows, and the load of each is as its tenants.
            figures.append(Figure(name, alone / busiest, "x", least=0.75 * number))
    return figures


class _MeasuredLedger:
    """A ledger on a cluster of its own, and tenants over all its shards."""

    def __init__(self, url: str, servers: Sequence[psutil.Process]) -> None:
        self._state = connect(url)
        self._servers = servers
        self._tenants = [ParcelSteps(self._state, f"t_bench_{n}") for n in range(TENANTS)]
        for each in self._tenants:
            each.trip(1)  # what is kept once for all

    def run(self, seconds: float) -> _Run:
        own = psutil.Process()
        before = [cpu_of([each]) for each in (own, *self._servers)]
        started = time.perf_counter()
        done: list[int] = []
        # Each has tenants of its own, so that none takes what another has accepted.
        threads = [
            threading.Thread(target=self._load, args=(number, started + seconds, done))
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall, commands = time.perf_counter() - started, sum(done)
        if len(done) != THREADS:
            raise RuntimeError("a thread of the load did not come to its end")
        after = [cpu_of([each]) for each in (own, *self._servers)]
        client, *nodes = [
            (late - early) / commands * 1e6 for early, late in zip(before, after, strict=True)
        ]
        return _Run(commands / wall, client, nodes)

    def _load(self, number: int, end: float, done: list[int]) -> None:
        its, commands = self._tenants[number::THREADS], 0
        while time.perf_counter() < end:
            its[commands // BATCH % len(its)].trip(BATCH)
            commands += BATCH
        done.append(commands)


@contextmanager
def _measured_ledger(data: Path, number: int) -> Iterator[_MeasuredLedger]:
    with RedisCluster(data, number, replicated=False) as cluster:
        servers = [psutil.Process(node.process.pid) for node in cluster.nodes]
        yield _MeasuredLedger(cluster.url, servers)
