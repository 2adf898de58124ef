"""What it costs to wait for a replica (SIGNALBOX_STATE_REPLICAS), on a primary that has one."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import redis

from benchmarks.figure import NOISE, Figure, Spread
from benchmarks.part import Bench
from benchmarks.testbed import Cost, Testbed, for_seconds, open_testbed, puts
from signalbox.producers.embedded.redis_server import RedisServer
from tests.integration.conftest import wait_until

TENANT = "t_bench"
WAITED_FOR = (0, 1)
ROWS = ((1, 50), (100, 400))
"""Commands a submit, and on their way."""
ROUNDS, SUBMITS = 4, 50


def replica_cost(bench: Bench) -> list[Figure]:
    """Durable 1 KiB puts with two workers; all of them wait for as many replicas."""
    costs: dict[tuple[int, int], list[Cost]] = {}
    times: dict[tuple[int, int], list[float]] = {}
    with ExitStack() as stack:
        testbeds = {n: stack.enter_context(_testbed(bench.data / str(n), n)) for n in WAITED_FOR}
        # In turns, so that what else the machine does is shared by all.
        for _ in range(ROUNDS):
            for size, ahead in ROWS:
                for number, it in testbeds.items():
                    batches = for_seconds(TENANT, size, bench.seconds / ROUNDS)
                    costs.setdefault((size, number), []).append(it.cost(batches, ahead))
                    times.setdefault((size, number), []).extend(_submits(it, size))
    figures = []
    for size, _ in ROWS:
        what = "single" if size == 1 else f"{size} a submit"
        rates, micros, waits = [], [], []
        for number in WAITED_FOR:
            its = costs[size, number]
            rates.append(statistics.median(cost.rate for cost in its))
            micros.append(statistics.median(cost.micros for cost in its))
            waits.append(Spread(times[size, number]).median)
            name = f"{what}, {number} replica{'' if number == 1 else 's'} waited for"
            figures += [
                Figure(name, rates[-1], "commands/s"),
                Figure(f"processor time, {name}", micros[-1], "µs a command"),
                Figure(f"a submit, {name}, p50", waits[-1], "ms"),
            ]
        for name, (none, one) in (("throughput", rates), ("a submit", waits)):
            figures.append(Figure(f"{name}, {what}, 1 to 0", one / none, "x", tolerance=NOISE))
    return figures


def _submits(it: Testbed, size: int) -> list[float]:
    """Milliseconds of submits, with nothing else on its way."""
    times = []
    for _ in range(SUBMITS):
        commands = puts(TENANT, size)
        started = time.perf_counter()
        sent = it.client.submit_many(commands)
        times.append((time.perf_counter() - started) * 1e3)
        it.settle(sent)
    return times


@contextmanager
def _testbed(data: Path, waited_for: int) -> Iterator[Testbed]:
    """Two workers on a primary with one replica, warm."""
    primary, replica = RedisServer(data / "primary"), RedisServer(data / "replica")
    with ExitStack() as stack:
        for server in (primary, replica):
            server.start()
            stack.callback(server.stop)
        _follow(replica, primary)
        with (
            patch.dict(os.environ, SIGNALBOX_STATE_REPLICAS=str(waited_for)),
            open_testbed(data, redis=primary) as it,
        ):
            it.route(TENANT)
            it.run(puts(TENANT, 100) for _ in range(20))
            yield it


def _follow(replica: RedisServer, primary: RedisServer) -> None:
    """Make one the replica of the other; returns when it has all of its data."""
    client = redis.Redis(port=replica.port)
    client.replicaof("127.0.0.1", str(primary.port))
    wait_until(
        lambda: client.info("replication").get("master_link_status") == "up",
        "the replica has the data of its primary",
    )
