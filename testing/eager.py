"""A client whose commands run in the test's own process, for tests of services.

A test module or `conftest.py` imports the fixture:

    from signalbox.testing.eager import eager_client

It needs fakeredis with its extra `lua`, which stores the ledger and the routes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.producers.client.client import Client
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from signalbox.workers.app import app
from signalbox.workers.runtime import Runtime, install


class EagerClient(Client):
    """A client whose commands have ended when `submit` returns."""

    def route(
        self,
        kind: ResourceKind | str,
        tenant_id: str,
        env: str,
        backend_type: str,
        config: dict[str, Any],
    ) -> None:
        """Set the route of a scope, in mode `lab`. Raises the errors of `Registry.set`."""
        scope = Scope(kind=ResourceKind(kind), tenant_id=tenant_id, env=env)
        change = Change(actor="test", reason="test", change_id=uuid.uuid4().hex)
        Registry(self.state).set(scope, RouteTarget(backend_type, config, Mode.LAB), change)


@pytest.fixture
def eager_client(tmp_path: Path) -> Iterator[EagerClient]:
    """A client with an empty ledger and no routes, for one test."""
    state = fakeredis.FakeRedis()
    settings = Settings(payload_dir=tmp_path / "payloads")
    before = app.conf.task_always_eager
    app.conf.task_always_eager = True
    install(Runtime(app, settings, state, worker="eager"))
    try:
        with EagerClient(settings, app=app, state=state) as client:
            yield client
    finally:
        install(None)
        app.conf.task_always_eager = before
