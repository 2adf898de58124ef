"""A lookup in a worker's cache of routes, with few and with many known."""

from __future__ import annotations

import psutil

from benchmarks.figure import NOISE, Figure, milliseconds
from benchmarks.routes import shuffled
from signalbox.commands.scope import Scope
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.registry import Registry

FEW = 10


def lookup_cost(registry: Registry, scopes: list[Scope]) -> list[Figure]:
    """Microseconds of a lookup; `scopes` are all routes of the registry."""
    cache = RouteCache(registry, registry.policies)
    fences: dict[Scope, str | None] = {}

    def learn(some: list[Scope]) -> None:
        for begin in range(0, len(some), 1000):
            step = some[begin : begin + 1000]
            read = {s: f for s, (_, f) in zip(step, registry.get_many(step), strict=True)}
            cache.resolve_many(read)
            fences.update(read)

    def each(some: list[Scope]) -> float:
        """Microseconds of a lookup, the best of some rounds."""
        pairs = [(scope, fences[scope]) for scope in some]
        rounds = [
            milliseconds(lambda: [cache.resolve(scope, fence) for scope, fence in pairs])
            for _ in range(5)
        ]
        return min(rounds) / len(pairs) * 1e3

    few = scopes[:FEW]
    learn(few)
    alone = each(few * 10_000)
    memory = psutil.Process().memory_info().rss
    seconds = milliseconds(lambda: learn(scopes)) / 1e3
    memory = psutil.Process().memory_info().rss - memory
    among, any_ = each(few * 10_000), each(shuffled(scopes))
    many = f"{len(scopes):,}"
    return [
        Figure(f"lookup of one of {FEW} routes", alone, "µs"),
        Figure(f"the same, {many} known", among, "µs"),
        Figure(f"lookup, {many} known to {FEW} known", among / alone, "x", tolerance=NOISE),
        Figure(f"lookup of any of {many}, none used lately", any_, "µs"),
        Figure(f"reading {many} routes into the cache", seconds, "s"),
        Figure("memory of a route in the cache", memory / len(scopes), "bytes"),
    ]
