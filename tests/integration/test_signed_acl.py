"""Signed changes and what checks them, under exactly the users that `signalbox acl` prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.producers.access.acl import roles_on, users
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.routing.policy.policy import Terms
from signalbox.routing.registry.rebase import rebase
from tests.conftest import need_redis
from tests.integration.signed_registry import ACME, ADMIN, OPS, SignedRegistry, change, target
from tests.integration.test_registry_attacks import Worker

PASSWORD = "of-a-user-of-this-test"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    need_redis()
    server = RedisServer(tmp_path / "redis")
    server.start()
    roles = roles_on("state", Settings(broker_url="redis://other/0"))
    with redis.Redis(port=server.port) as admin:
        for name, rules in users(roles, {role: [f">{PASSWORD}"] for role in roles}).items():
            admin.execute_command("ACL", "SETUSER", name, "reset", *rules)
    yield server
    server.stop()


def as_user(server: RedisServer, user: str) -> State:
    return connect(f"redis://{user}:{PASSWORD}@127.0.0.1:{server.port}/0")


@pytest.mark.parametrize("role", ["operator", "gateway"])
def test_operators_change_and_workers_check(server: RedisServer, tmp_path: Path, role: str) -> None:
    signed = SignedRegistry(as_user(server, role), tmp_path)
    signed.begin()
    ops = signed.by(OPS)
    ops.policies.set("t_acme", Terms(price_table="p"), change())
    ops.delete(ACME, change())
    route = ops.set(ACME, target(tmp_path / "again"), change())
    if role == "operator":
        rebase(signed.by(ADMIN), change())
    signed.by(ADMIN).principals.revoke("other", change())
    for reader in ("worker", "data_gateway", "reader"):
        looking = SignedRegistry(as_user(server, reader), tmp_path)
        worker = Worker(looking)
        worker.follow()
        assert worker.resolve() == route
        assert looking.by(None).principals.get("other").revoked is not None
