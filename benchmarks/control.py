"""The control plane with 100,000 routes: start of workers, lookups, pages, changes, claims."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from benchmarks.claims import claim_cost
from benchmarks.figure import Figure, Spread, milliseconds
from benchmarks.lookup import lookup_cost
from benchmarks.part import Bench
from benchmarks.propagation import FOLLOWERS, SWITCHES, propagate
from benchmarks.routes import by, load, scopes_of, tenant
from signalbox.commands.ledger.usage import UsageBook
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.stack import EmbeddedStack
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from signalbox.routing.system_view import SystemView

TENANTS = 25_000
STARTS = 3
REPEATS = 3


def control_cost(bench: Bench) -> list[Figure]:
    """What the registry costs when it is large; on a Redis of its own below `data`."""
    server = RedisServer(bench.data / "redis")
    server.start()
    try:
        return _measure(bench.data, server.url)
    finally:
        server.stop()


def _measure(data: Path, url: str) -> list[Figure]:
    registry = Registry(connect(url))
    scopes = scopes_of(TENANTS)
    few = _starts(data, url)
    registry.client.server().flushall()
    empty = registry.client.server().info("memory")["used_memory"]
    seconds = milliseconds(lambda: load(registry.client, scopes, _folder(data))) / 1e3
    many = f"{len(scopes):,}"
    used = registry.client.server().info("memory")["used_memory"] - empty
    figures = [
        Figure(f"loading {many} routes of {TENANTS:,} tenants", seconds, "s"),
        Figure("Redis for a route and its event", used / len(scopes), "bytes"),
    ]
    starts = _starts(data, url, tenant(TENANTS // 2))
    for what, a, b in zip(("ready", "first outcome"), few, starts, strict=True):
        name = f"worker from start to {what}"
        figures += [
            Figure(f"{name}, no routes", a, "s"),
            Figure(f"{name}, {many} routes", b, "s"),
            Figure(f"{name}, more for {many} routes", b - a, "s", most=2),
        ]
    figures += lookup_cost(registry, scopes)
    figures += _pages(registry, url)
    figures += _changes(registry, data)
    figures += _propagation(registry, url)
    return figures + claim_cost(Settings(state_url=url), _folder(data))


def _folder(data: Path) -> RouteConfig:
    return {"base_dir": str(data / "control-objects")}


def _starts(data: Path, url: str, of: str | None = None) -> tuple[float, float]:
    """Seconds from the start of a worker process until it consumes, and until it has done a
    first put of tenant `of`; medians. Without a tenant the put is refused, which takes as long."""
    ready, first = [], []
    options = {"state_url": url, "broker_url": url, "flower": False, "workers": 0}
    with EmbeddedStack(data / "control-stack", **options) as stack:  # type: ignore[arg-type]
        settings = Settings(state_url=url, broker_url=url)
        with Client(settings) as client:
            for number in range(STARTS):
                started = time.perf_counter()
                worker = stack.start_worker()
                ready.append(time.perf_counter() - started)
                put = PutObject(
                    tenant_id=of or tenant(0),
                    env="prod",
                    key=f"k{number}",
                    payload=InlinePayload(data=b"x"),
                )
                client.run_outcome(put, timedelta(seconds=60))
                first.append(time.perf_counter() - started)
                worker.stop()
    return statistics.median(ready), statistics.median(first)


def _pages(registry: Registry, url: str) -> list[Figure]:
    view = SystemView(registry, UsageBook(registry.client))
    kind, times, after = ResourceKind.OBJECT_STORE, [], ""
    while True:
        started = time.perf_counter()
        page = view.page(kind, after=after)
        times.append((time.perf_counter() - started) * 1e3)
        if page.next_after is None:
            break
        after = page.next_after
    command = [sys.executable, "-m", "signalbox.producers.cli.main", "routes", "list", "-k", kind]
    environment = os.environ | {"SIGNALBOX_STATE_URL": url}
    took = [
        milliseconds(
            lambda: subprocess.run(  # noqa: S603 - our own command
                command, env=environment, check=True, capture_output=True
            )
        )
        for _ in range(STARTS)
    ]
    first, last = statistics.median(times[:10]), statistics.median(times[-11:-1])
    return [
        Figure("a page of 100 of the system view, the first ten, p50", first, "ms"),
        Figure("a page of 100 of the system view, the last ten, p50", last, "ms", most=200),
        Figure("signalbox routes list, as a process", statistics.median(took), "ms"),
    ]


def _changes(registry: Registry, data: Path) -> list[Figure]:
    figures = []
    for name, change in (("set", registry.set), ("switch", registry.switch)):
        times = []
        for number in range(SWITCHES):
            scope = Scope(
                kind=ResourceKind.OBJECT_STORE, tenant_id=f"t_change_{number}", env="prod"
            )
            config: RouteConfig = {"base_dir": f"{data}/{name}"}
            started = time.perf_counter()
            change(scope, RouteTarget("filesystem", config, Mode.LAB), by())
            times.append((time.perf_counter() - started) * 1e3)
        figures += [
            Figure(f"{name} a route, p50", Spread(times).median, "ms"),
            Figure(f"{name} a route, p99", Spread(times).at(99), "ms"),
            Figure(f"{name}, one after the other", 1e3 * len(times) / sum(times), "changes/s"),
        ]
    return figures


def _propagation(registry: Registry, url: str) -> list[Figure]:
    """The best of some rounds, since what else the machine does only ever adds."""
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_followed", env="prod")
    registry.set(scope, RouteTarget("filesystem", {"base_dir": "/bench"}, Mode.LAB), by())
    heard = [propagate(registry, url, scope)[1] for _ in range(REPEATS)]
    best = min(heard, key=lambda spread: spread.at(99))
    name = f"switch to the last of {FOLLOWERS} processes"
    return [
        Figure(f"{name}, p50", best.median, "ms"),
        Figure(f"{name}, p99", best.at(99), "ms", most=20),
    ]
