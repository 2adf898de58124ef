"""Stacks of a real Redis and real worker processes; one serves all tests of a module."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from signalbox.commands.model import new_op_id
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.stack import EmbeddedStack
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, RouteTarget
from tests.conftest import need_redis

if TYPE_CHECKING:
    from tests.integration.signed_deployment import SignedDeployment

TIMEOUT = timedelta(minutes=5)
"""What takes that long hangs. No test is judged by its time: other programs may use the machine."""

# The lease is longer than a worker that runs ever needs, also on a machine that is busy.
QUICK = {
    "SIGNALBOX_LEASE": "20",
    "SIGNALBOX_PUBLISH_GRACE": "2",
    "SIGNALBOX_RETRY_DELAY": "0.2",
}
# For tests that kill workers (`kills_workers`): leases expire soon. On a busy machine the lease of
# a running worker may expire too, which must not end its command as a dead letter.
WITH_KILLS = {
    "SIGNALBOX_LEASE": "3",
    "SIGNALBOX_MAX_DEATHS": "100",
    "SIGNALBOX_MAX_ATTEMPTS": "100",
}


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that other processes bring about."""
    deadline = time.monotonic() + TIMEOUT.total_seconds()
    while not condition():
        assert time.monotonic() < deadline, f"not within {TIMEOUT}: {what}"
        time.sleep(0.05)


def object_scope(tenant: str, env: str = "dev") -> Scope:
    return Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env=env)


@dataclass
class RunningStack:
    """A running stack, and clients of it."""

    stack: EmbeddedStack
    settings: Settings
    data: Path

    def client(self) -> Client:
        return Client(self.settings)

    def registry(self) -> Registry:
        return Registry(connect(self.settings.state_url))

    def route_to_folder(
        self,
        tenant: str,
        name: str = "objects",
        kind: ResourceKind = ResourceKind.OBJECT_STORE,
    ) -> Route:
        """Point the tenant's data at a folder of this stack, with `set` or `switch`."""
        registry, scope = self.registry(), Scope(kind=kind, tenant_id=tenant, env="dev")
        change = registry.set if registry.get(scope) is None else registry.switch
        return change(
            scope,
            RouteTarget("filesystem", {"base_dir": str(self.data / name)}, Mode.LAB),
            Change(actor="test", reason="test", change_id=new_op_id()),
        )

    def wait_until_idle(self, client: Client) -> None:
        wait_until(lambda: client.ledger.totals()["open"] == 0, "no open command")


@contextmanager
def start_stack(
    data: Path,
    workers: int,
    *,
    flower: bool = False,
    options: Sequence[str] = (),
    kills_workers: bool = False,
    **settings: str,
) -> Iterator[RunningStack]:
    """A stack for one test or module.

    `options` go to `signalbox worker`, and `settings` are further environment variables. Set
    `kills_workers` in tests that kill workers.
    """
    need_redis()
    before = dict(os.environ)
    os.environ.update(QUICK | (WITH_KILLS if kills_workers else {}) | settings)
    try:
        with EmbeddedStack(data, workers=workers, flower=flower, worker_options=options) as stack:
            os.environ.update(stack.environment)
            yield RunningStack(stack, Settings(), data)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with start_stack(tmp_path_factory.mktemp("stack"), workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def four_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with start_stack(tmp_path_factory.mktemp("stack"), workers=4) as running:
        yield running


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    """An empty state Redis; its ledger has few shards, so that tenants share some."""
    client = connect(state_url, ledger_shards=16)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def deployment(tmp_path: Path, state: State) -> SignedDeployment:
    """A worker that asks for signatures, and who may sign."""
    # Few modules need it, and every process reads this one.
    from tests.integration.signed_deployment import SignedDeployment

    return SignedDeployment(tmp_path, state)
