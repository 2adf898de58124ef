"""With submits that are of 1 to 1,000 tenants together."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.figure import NOISE, Figure
from benchmarks.growth.flat import medians
from benchmarks.part import Bench
from benchmarks.routes import load, tenant
from benchmarks.testbed import ENV, open_testbed, puts
from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import SignalboxError
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope

LEVELS = (1, 10, 100, 1_000)
BATCH, BATCHES, ROUNDS = 1_000, 4, 3
"""Commands a submit, and submits of each level in a round."""
WARM = 6
USUAL, MAX_RATIO = 10, 2.0
"""The aim: 1,000 tenants together cost at most so many times what the usual number costs."""


def mixed_growth(bench: Bench) -> list[Figure]:
    """Processor time of a durable 1 KiB put: in all, of the store alone, and of the rest."""
    whole, stored = ({level: list[float]() for level in LEVELS} for _ in range(2))
    config: RouteConfig = {"base_dir": str(bench.data / "stored")}
    scopes = [_scope(number) for number in range(max(LEVELS))]
    with open_testbed(bench.data) as it, _Stores(bench.data / "apart") as stores:
        load(it.registry.client, scopes, config)
        # Every worker has had a command of every tenant before, as good as surely.
        it.run(_batch(max(LEVELS)) for _ in range(WARM))
        stores.micros(max(LEVELS))
        # In turns, so that what else the machine does is shared by all.
        for _ in range(ROUNDS):
            for level in LEVELS:
                cost = it.cost(_batch(level) for _ in range(BATCHES))
                whole[level].append(cost.micros)
                stored[level].append(stores.micros(level))
    rest = {
        level: [all_ - its for all_, its in zip(whole[level], stored[level], strict=True)]
        for level in LEVELS
    }
    return [
        *_figures("tenants in a submit", whole),
        *_figures("tenants in a submit, the store alone", stored),
        *_figures("tenants in a submit, without the store", rest, most=MAX_RATIO),
    ]


def _figures(what: str, rows: dict[int, list[float]], most: float | None = None) -> list[Figure]:
    figures = medians(what, rows)
    value = {int(figure.at or 0): figure.value for figure in figures}
    ratio = value[max(LEVELS)] / value[USUAL]
    name = f"{max(LEVELS):,} to {USUAL} {what}"
    return [*figures, Figure(name, ratio, "x", most=most, tolerance=NOISE)]


class _Stores:
    """The embedded stores of all tenants in this process, past queue and ledger: each has a file
    of its own, which is synced for itself."""

    def __init__(self, data: Path) -> None:
        self._config = {"base_dir": str(data)}
        self._payloads = DirectoryPayloadStore(data)
        self._open: dict[str, Any] = {}
        self._numbers = count(1)
        self._all = ExitStack()

    def __enter__(self) -> _Stores:
        return self

    def __exit__(self, *_: object) -> None:
        self._all.close()

    def micros(self, level: int) -> float:
        """Of processor time a command, for the effects of one submit."""
        by_tenant: dict[str, list[PutObject]] = {}
        for command in _batch(level):
            by_tenant.setdefault(command.tenant_id, []).append(command)
        work = [(self._store(name), self._calls(its)) for name, its in by_tenant.items()]
        before = time.process_time()
        for store, items in work:
            for answer in store.put_many(items):
                if isinstance(answer, SignalboxError):
                    raise answer
        return (time.process_time() - before) / BATCH * 1e6

    def _calls(self, commands: list[PutObject]) -> list[tuple[PutObject, Call]]:
        deadline = lease_clock() + 60
        numbers = [next(self._numbers) for _ in commands]
        return [
            (command, Call(str(number), number, False, deadline, self._payloads))
            for command, number in zip(commands, numbers, strict=True)
        ]

    def _store(self, name: str) -> Any:
        if name not in self._open:
            kind = ResourceKind.OBJECT_STORE
            scope = Scope(kind=kind, tenant_id=name, env=ENV)
            context = AdapterContext(scope, Mode.LAB, self._config)
            self._open[name] = store = find_backend(kind, "filesystem").open(context)
            self._all.callback(store.close)
        return self._open[name]


def _batch(level: int) -> list[PutObject]:
    """The commands of one submit, of so many tenants in turn."""
    return [puts(tenant(number % level), 1)[0] for number in range(BATCH)]


def _scope(number: int) -> Scope:
    return Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant(number), env=ENV)
