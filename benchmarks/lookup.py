"""A lookup in a worker's cache of routes, with few and with many known."""

from __future__ import annotations

from rich.console import Console

from benchmarks.figure import milliseconds
from benchmarks.routes import shuffled
from commands.scope import Scope
from routing.cache import RouteCache
from routing.registry import Registry

FEW = 10


def lookup_cost(console: Console, registry: Registry, scopes: list[Scope]) -> None:
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
    seconds = milliseconds(lambda: learn(scopes)) / 1e3
    among, all_ = each(few * 10_000), each(shuffled(scopes))
    console.print(
        f"lookup of one of {FEW} routes: {alone:.2f} µs with {FEW} known, {among:.2f} µs with "
        f"{len(scopes):,} known ({among / alone:.2f} x); of any of them, none used lately: "
        f"{all_:.2f} µs ({all_ / alone:.1f} x); to know all took {seconds:.1f} s"
    )
