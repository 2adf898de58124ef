"""With commands of 1 to 1,000 tenants: each message is one tenant's, and tenants take turns."""

from __future__ import annotations

from benchmarks.figure import Figure
from benchmarks.growth.flat import flat
from benchmarks.part import Bench
from benchmarks.routes import load, tenant
from benchmarks.testbed import ENV, open_testbed, puts
from signalbox.commands.object_store import PutObject
from signalbox.commands.scope import ResourceKind, Scope

LEVELS = (1, 10, 100, 1_000)
BATCH, BATCHES, ROUNDS = 100, 60, 3
MAX_RATIO = 2.0
"""The aim: what is most costly is so many times what is least."""


def tenant_growth(bench: Bench) -> list[Figure]:
    """Processor time of a durable 1 KiB put, 100 a submit. Every tenant had a command before."""
    rows: dict[int, list[float]] = {level: [] for level in LEVELS}
    with open_testbed(bench.data) as it:
        scopes = [
            Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant(number), env=ENV)
            for number in range(max(LEVELS))
        ]
        load(it.registry.client, scopes, {"base_dir": str(bench.data / "stored")})
        it.run(puts(tenant(number), 1) for number in range(max(LEVELS)))
        it.run(puts(tenant(number), BATCH) for number in range(BATCHES))
        # In turns, so that what else the machine does is shared by all.
        for turn in range(ROUNDS):
            for level, its in rows.items():
                its.append(it.cost(_batches(level, turn * BATCHES)).micros)
    return flat("tenants", rows, MAX_RATIO)


def _batches(level: int, first: int) -> list[list[PutObject]]:
    return [puts(tenant(number % level), BATCH) for number in range(first, first + BATCHES)]
