"""With 10 to 100,000 routes in the registry, of which a few are in use."""

from __future__ import annotations

from benchmarks.figure import Figure
from benchmarks.growth.flat import flat
from benchmarks.lane import Lane, lane, puts
from benchmarks.part import Bench
from benchmarks.routes import load
from commands.object_store import PutObject
from commands.scope import ResourceKind, Scope
from commands.state import connect
from producers.embedded.redis_server import RedisServer
from routing.registry import Registry

LEVELS = (10, 1_000, 100_000)
IN_USE, BATCH, BATCHES, ROUNDS = 10, 100, 100, 3


def route_growth(bench: Bench) -> list[Figure]:
    """Processor time of a durable 1 KiB put, 100 a submit, tenants in turn."""
    rows = {}
    for level in LEVELS:
        data = bench.data / str(level)
        server = RedisServer(data / "redis")
        server.start()
        try:
            scopes = [
                Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant(number), env="dev")
                for number in range(level)
            ]
            registry = Registry(connect(server.url))
            load(registry.client, scopes, {"base_dir": str(data / "stored")})
            with lane(data, redis=server) as it:
                it.run(_batches(level))
                rows[level] = [_micros(it, level) for _ in range(ROUNDS)]
        finally:
            server.stop()
    return flat("routes", rows)


def tenant(number: int) -> str:
    return f"t_{number:06}"


def _micros(it: Lane, level: int) -> float:
    return it.cost(_batches(level)).micros


def _batches(level: int) -> list[list[PutObject]]:
    step = level // IN_USE
    return [puts(tenant(number % IN_USE * step), BATCH) for number in range(BATCHES)]
