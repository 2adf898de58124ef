"""A quiet stack for measurements: routes by tenant, waits of single commands, throughput."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.stack import EmbeddedStack
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from tests.chaos.campaign import Plan, embedded
from tests.chaos.killer import Harm
from tests.chaos.load import ENV


@dataclass(frozen=True)
class Testbed:
    __test__ = False  # pytest takes the name for a test's
    stack: EmbeddedStack
    client: Client
    folder: Path

    def route(self, tenant: str, backend_type: str = "filesystem", **config: Any) -> None:
        """Point the tenant's objects somewhere; a folder of its own, if nothing is said."""
        self._point(Registry.set, tenant, backend_type, config)

    def switch(self, tenant: str, backend_type: str = "filesystem", **config: Any) -> None:
        """The same for a tenant that has a route."""
        self._point(Registry.switch, tenant, backend_type, config)

    def _point(
        self, change: Callable[..., Any], tenant: str, backend_type: str, config: dict[str, Any]
    ) -> None:
        change(
            Registry(connect(self.stack.addresses["state"])),
            Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env=ENV),
            RouteTarget(backend_type, config or {"base_dir": str(self.folder / tenant)}, Mode.LAB),
            Change(actor="chaos", reason="chaos", change_id=new_op_id()),
        )

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The workers stand still inside the block."""
        for worker in self.stack.workers:
            os.killpg(worker.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for worker in self.stack.workers:
                os.killpg(worker.pid, signal.SIGCONT)

    def waits(self, tenant: str, samples: int, seconds: float) -> list[float]:
        """Seconds from submission to outcome of single commands, one after the other; fewer of
        them if the time is over, and the one that was too slow counts as long as it was let."""
        waits: list[float] = []
        until = time.monotonic() + seconds
        while len(waits) < samples and time.monotonic() < until:
            started = time.monotonic()
            submission = self.client.submit(put(tenant, f"w{new_op_id()}"))
            limit = max(1.0, until - started)
            self.client.wait([submission], timedelta(seconds=limit))
            waits.append(time.monotonic() - started)
        return waits

    def throughput(self, tenant: str, seconds: float, batch: int = 20) -> float:
        """Commands a second, in batches with one behind the other on the way."""
        done, started = 0, time.monotonic()
        before = self.client.submit_many(put(tenant, new_op_id()) for _ in range(batch))
        while time.monotonic() - started < seconds:
            after = self.client.submit_many(put(tenant, new_op_id()) for _ in range(batch))
            outcomes = self.client.wait(before, timedelta(seconds=60))
            done += sum(1 for outcome in outcomes if outcome and outcome.error is None)
            before = after
        return done / (time.monotonic() - started)


def put(tenant: str, key: str) -> PutObject:
    payload = InlinePayload(data=b"x")
    return PutObject(tenant_id=tenant, env=ENV, key=key, payload=payload)


def p99(waits: list[float]) -> float:
    return sorted(waits)[max(0, round(len(waits) * 0.99) - 1)]


@contextmanager
def open_testbed(
    folder: Path,
    workers: int = 2,
    *,
    pool: str = "threads",
    faults: str = "",
    broker_url: str | None = None,
    **settings: str,
) -> Iterator[Testbed]:
    """Two workers with the settings that they come with, but for what is said."""
    quiet = {"SIGNALBOX_LOG_LEVEL": "error"} | settings
    plan = Plan(Harm(), workers=workers, pool=pool, faults=faults, settings=quiet)
    with embedded(plan, folder, broker_url) as stack, Client(Settings()) as client:
        yield Testbed(stack, client, folder)
