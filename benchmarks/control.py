"""The control plane with 100,000 routes: start of workers, lookups, pages, changes, claims.

Also on its own: `python -m benchmarks.control`, with --propagation for that alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from benchmarks.claims import claim_cost
from benchmarks.figure import Spread, load_average, milliseconds
from benchmarks.lookup import lookup_cost
from benchmarks.propagation import FOLLOWERS, SWITCHES, propagate
from benchmarks.routes import by, load, scopes_of, tenant
from commands.ledger.usage import UsageBook
from commands.object_store import PutObject
from commands.payload import InlinePayload
from commands.routing import RouteConfig
from commands.scope import Mode, ResourceKind, Scope
from commands.settings import Settings
from commands.state import connect
from producers.client import Client
from producers.embedded.redis_server import RedisServer
from producers.embedded.stack import EmbeddedStack
from routing.registry import Registry
from routing.view import SystemView

TENANTS = 25_000
STARTS = 3
REPEATS = 3


def control_cost(console: Console, data: Path) -> None:
    """Print what the registry costs when it is large; on a Redis of its own below `data`."""
    server = RedisServer(data / "control-redis")
    server.start()
    try:
        _measure(console, data, server.url)
    finally:
        server.stop()


def _measure(console: Console, data: Path, url: str) -> None:
    registry = Registry(connect(url))
    scopes = scopes_of(TENANTS)
    console.print(f"\ncontrol plane; {load_average()}; Redis with appendfsync always")
    few = _starts(data, url)
    registry.client.flushall()
    seconds = milliseconds(lambda: load(registry.client, scopes, _folder(data))) / 1e3
    console.print(f"{len(scopes):,} routes of {TENANTS:,} tenants loaded in {seconds:.0f} s")
    many = _starts(data, url, tenant(TENANTS // 2))
    for what, a, b in zip(("ready", "first outcome"), few, many, strict=True):
        console.print(
            f"start of a worker until {what}: {a:.2f} s with no routes, {b:.2f} s with "
            f"{len(scopes):,} ({b - a:+.2f} s; aim: at most +2 s)"
        )
    lookup_cost(console, registry, scopes)
    _pages(console, registry, url)
    _changes(console, registry, data)
    _propagation(console, registry, url)
    claim_cost(console, Settings(state_url=url), _folder(data))


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
                client.run(put, timedelta(seconds=60))
                first.append(time.perf_counter() - started)
                worker.stop()
    return statistics.median(ready), statistics.median(first)


def _pages(console: Console, registry: Registry, url: str) -> None:
    view = SystemView(registry, UsageBook(registry.client))
    kind, times, after = ResourceKind.OBJECT_STORE, [], ""
    while True:
        started = time.perf_counter()
        page = view.page(kind, after=after)
        times.append((time.perf_counter() - started) * 1e3)
        if page.next_after is None:
            break
        after = page.next_after
    deepest = statistics.median(times[-11:-1])
    console.print(
        f"pages of 100 of the system view, {len(times)} of them: {Spread(times)}; the first ten "
        f"{statistics.median(times[:10]):.1f} ms, the last ten {deepest:.1f} ms (aim: 200 ms)"
    )
    command = [sys.executable, "-m", "producers.cli.main", "routes", "list", "-k", kind]
    environment = os.environ | {"SIGNALBOX_STATE_URL": url}
    took = [
        milliseconds(
            lambda: subprocess.run(  # noqa: S603 - our own command
                command, env=environment, check=True, capture_output=True
            )
        )
        for _ in range(STARTS)
    ]
    console.print(f"signalbox routes list, as a process: {statistics.median(took):.0f} ms")


def _changes(console: Console, registry: Registry, data: Path) -> None:
    for name, change in (("set", registry.set), ("switch", registry.switch)):
        times = []
        for number in range(SWITCHES):
            scope = Scope(
                kind=ResourceKind.OBJECT_STORE, tenant_id=f"t_change_{number}", env="prod"
            )
            config: RouteConfig = {"base_dir": f"{data}/{name}"}
            started = time.perf_counter()
            change(scope, "filesystem", config, mode=Mode.LAB, **by())
            times.append((time.perf_counter() - started) * 1e3)
        console.print(f"{name}: {Spread(times)}")


def _propagation(console: Console, registry: Registry, url: str) -> None:
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_followed", env="prod")
    registry.set(scope, "filesystem", {"base_dir": "/bench"}, mode=Mode.LAB, **by())
    for _ in range(REPEATS):
        _, heard = propagate(registry, url, scope)
        console.print(
            f"switch to the last of {FOLLOWERS} processes: {heard} ({load_average()}; aim: p99 of "
            "20 ms on an idle machine)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--propagation", action="store_true", help="only that")
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        if not arguments.propagation:
            control_cost(console, data)
            return
        server = RedisServer(data / "control-redis")
        server.start()
        try:
            registry = Registry(connect(server.url))
            load(registry.client, scopes_of(TENANTS), _folder(data))
            _propagation(console, registry, server.url)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
