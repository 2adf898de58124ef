"""What it costs that no command runs on an old route: the lookup, and the fence in each claim."""

from __future__ import annotations

import statistics
import time

from benchmarks.figure import NOISE, Figure, Spread, milliseconds
from benchmarks.part import Bench
from benchmarks.routes import load, tenant
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.commands.script import run_pipeline
from signalbox.commands.state import connect
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.registry import Registry

ROUTES, LOOKUPS, CALLS, BATCH = 10, 100_000, 2_000, 100
RESOLVE_AIM = 1.0


def fence_cost(bench: Bench) -> list[Figure]:
    """Microseconds of a lookup in the cache; of the fences that a claim reads; of asking Redis."""
    server = RedisServer(bench.data / "redis")
    server.start()
    try:
        registry = Registry(connect(server.url))
        scopes = [
            Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant(number), env="dev")
            for number in range(ROUTES)
        ]
        load(registry.client, scopes, {"base_dir": str(bench.data / "stored")})
        lookup, asked = _lookup(registry, scopes), _asked(registry, scopes[0])
        fence = _fence(registry, scopes[0])
    finally:
        server.stop()
    return [
        Figure("resolve from the cache, p50", lookup.median, "µs", most=RESOLVE_AIM),
        Figure("resolve from the cache, p99", lookup.at(99), "µs"),
        Figure("read a route from Redis, p50", asked, "µs"),
        Figure("read from Redis to cache", asked / lookup.median, "x", tolerance=NOISE),
        Figure("fence in a claim", fence, "µs a call"),
        Figure(f"fence in a claim of {BATCH}", fence / BATCH, "µs a command"),
    ]


def _lookup(registry: Registry, scopes: list[Scope]) -> Spread:
    """Each lookup on its own, less what reading the clock takes."""
    cache = RouteCache(registry, registry.policies)
    fences = [fence for _, fence in registry.get_many(scopes)]
    pairs = list(zip(scopes, fences, strict=True))
    cache.resolve_many(dict(pairs))
    clock = time.perf_counter_ns
    empty, times = [], []
    for number in range(LOOKUPS):
        scope, fence = pairs[number % ROUTES]
        first = clock()
        second = clock()
        cache.resolve(scope, fence)
        times.append(clock() - second)
        empty.append(second - first)
    clock_itself = statistics.median(empty)
    return Spread([max(0.0, taken - clock_itself) / 1e3 for taken in times])


def _asked(registry: Registry, scope: Scope) -> float:
    return statistics.median(
        milliseconds(lambda: registry.get_many([scope])) * 1e3 for _ in range(CALLS)
    )


def _fence(registry: Registry, scope: Scope) -> float:
    """What a round trip takes more with the fences in it, medians of both in turns."""
    script = ("HMGET", "{l00}:op:bench", *(f"field{number}" for number in range(20)))
    fences = ("HMGET", FENCE_KEY, "@epoch", f"policy/{scope.tenant_id}", scope.field)
    without, with_ = [], []
    for _ in range(CALLS):
        without.append(milliseconds(lambda: run_pipeline(registry.client, [script], [])))
        with_.append(milliseconds(lambda: run_pipeline(registry.client, [script, fences], [])))
    return (statistics.median(with_) - statistics.median(without)) * 1e3
