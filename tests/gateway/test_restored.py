"""A gateway whose state went back: it remembers the newest list of principals, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.commands.proof.principal import Role
from tests.gateway.principals import WIDE, Guarded, guarded, token, use_redis
from tests.gateway.recorder import served
from tests.integration.signed_registry import change
from tests.integration.test_registry_attacks import restore, snapshot

PATH = "/v1/routes/object_store/t_acme/prod"
ROUTE = {"backend_type": "filesystem", "config": {"base_dir": "/srv/data"}, "reason": "r"}


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state_url: str) -> Iterator[Guarded]:
    use_redis(monkeypatch, state_url)
    with guarded(tmp_path, monkeypatch) as running:
        yield running


def test_a_lost_revocation_is_refused_by_the_gateway_that_knew_it(gateway: Guarded) -> None:
    """One that has just started knows nothing of it."""
    given = token(WIDE[Role.AUDITOR], "wide-auditor")
    other = token(WIDE[Role.ADMIN], "wide-admin")
    state = gateway.server.services.registry.client
    assert gateway.call(given, "GET", "/v1/audit").status == 200
    saved = snapshot(state)
    gateway.principals.revoke("wide-auditor", change())
    assert gateway.call(given, "GET", "/v1/audit").status == 401
    restore(state, saved)
    for _ in range(2):
        for each in (given, other):
            answer = gateway.call(each, "GET", "/v1/audit")
            assert (answer.status, answer.json()["error_code"]) == (503, "REGISTRY_UNPROVEN")
        changed = gateway.call(other, "PUT", PATH, ROUTE)
        assert changed.json()["error_code"] == "REGISTRY_UNPROVEN"
    with served(principals="required", one_core=False) as started:
        assert Guarded(started).call(given, "GET", "/v1/audit").status == 200


def test_a_lost_route_is_not_noticed_by_a_gateway(gateway: Guarded) -> None:
    """Its next change follows the older state; workers that have seen more refuse to run on it."""
    given = token(WIDE[Role.OPERATOR], "wide-operator")
    registry = gateway.server.services.registry
    saved = snapshot(registry.client)
    before = registry.head().revision
    assert gateway.call(given, "PUT", PATH, ROUTE).status == 200
    restore(registry.client, saved)
    assert gateway.call(given, "GET", PATH).status == 404
    assert gateway.call(given, "PUT", PATH, ROUTE).status == 200
    assert registry.head().revision == before + 1
