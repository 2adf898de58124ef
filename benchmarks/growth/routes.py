"""With 10 to 100,000 routes in the registry, of which a few are in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.growth.flat import flat
from benchmarks.part import Bench
from benchmarks.routes import load, tenant
from benchmarks.testbed import ENV, Testbed, open_testbed, puts
from signalbox.commands.object_store import PutObject
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.commands.state import connect
from signalbox.producers.embedded.redis_server import RedisServer

LEVELS = (10, 1_000, 100_000)
IN_USE, BATCH, BATCHES, ROUNDS = 10, 100, 60, 3


def route_growth(bench: Bench) -> list[Figure]:
    """Processor time of a durable 1 KiB put, 100 a submit, tenants in turn."""
    rows: dict[int, list[float]] = {level: [] for level in LEVELS}
    with ExitStack() as stack:
        testbeds = {
            level: stack.enter_context(_testbed(bench.data / str(level), level)) for level in rows
        }
        # In turns, so that what else the machine does is shared by all.
        for _ in range(ROUNDS):
            for level, it in testbeds.items():
                rows[level].append(it.cost(_batches(level)).micros)
    return flat("routes", rows)


@contextmanager
def _testbed(data: Path, level: int) -> Iterator[Testbed]:
    """Workers on a Redis of their own with so many routes, warm."""
    server = RedisServer(data / "redis")
    server.start()
    try:
        scopes = [
            Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant(number), env=ENV)
            for number in range(level)
        ]
        load(connect(server.url), scopes, {"base_dir": str(data / "stored")})
        with open_testbed(data, redis=server) as it:
            it.run(_batches(level))
            yield it
    finally:
        server.stop()


def _batches(level: int) -> list[list[PutObject]]:
    step = level // IN_USE
    return [puts(tenant(number % IN_USE * step), BATCH) for number in range(BATCHES)]
