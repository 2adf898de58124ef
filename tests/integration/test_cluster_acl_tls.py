"""The users of `signalbox acl` on a real cluster, behind TLS: each role does its work there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.error import StateUnavailable
from signalbox.commands.ledger.entry import Acceptance
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.scope import Mode
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.producers.access.acl import roles_on, users
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from tests.integration.conftest import object_scope, wait_until
from tests.integration.operating import by
from tests.integration.test_ledger import claim, done, put, submit
from tests.redis_cluster import RedisCluster
from tests.tls import Authority, TlsProxy

HERE = "127.0.0.1"
ROLES = ("producer", "worker", "control", "operator", "gateway", "reader")
Connect = Callable[[str], State]


def password(role: str) -> str:
    return f"pw-{role}-of-the-cluster"


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connect]:
    """Connects as a role, to a cluster whose nodes name their TLS ports alone to clients."""
    folder: Path = tmp_path_factory.mktemp("cluster")
    authority = Authority(folder / "certificates")
    with ExitStack() as running:
        cluster = running.enter_context(RedisCluster(folder, replicated=False))
        ports = []
        for node in cluster.nodes:
            proxy = running.enter_context(TlsProxy(node.port, authority.certificate(HERE)))
            node.do("CONFIG SET", "cluster-announce-port", proxy.port)
            ports.append(proxy.port)
        for node in cluster.nodes:
            wait_until(lambda node=node: named(node) == set(ports), "clients are told TLS ports")  # type: ignore[misc]
        settings = Settings(state_url=cluster.url, broker_url="redis://elsewhere:6379/0")
        words = {role: [f">{password(role)}"] for role in ROLES}
        for name, rules in users(roles_on("state", settings), words).items():
            for node in cluster.nodes:
                node.do("ACL", "SETUSER", name, "reset", *rules)
        where = ",".join(f"{HERE}:{port}" for port in ports)

        def connect_as(role: str) -> State:
            url = f"rediss+cluster://{role}:{password(role)}@{where}?ssl_ca_certs={authority.file}"
            return running.enter_context(connect(url))

        yield connect_as


def named(node: Any) -> set[int]:
    """The ports that a node tells clients."""
    return {int(slot[2][1]) for slot in node.do("CLUSTER SLOTS")}


def test_each_role_does_its_work(connected: Connect) -> None:
    # Of many tenants, so that each node has some.
    commands = [put(f"k{n}", tenant=f"t_c{n}") for n in range(30)]
    settings = Settings()
    worker = Ledger(connected("worker"), settings)
    accepted = submit(Ledger(connected("producer"), settings), *commands)
    assert set(accepted) == {Acceptance.NEW}
    claimed = claim(worker, *commands, token="t")
    assert worker.finish("t", [done(each) for each in claimed]).refused == []
    assert Ledger(connected("reader"), settings).totals()["done"] == 30


@pytest.mark.parametrize("role", ["operator", "control", "gateway"])
def test_who_changes_routes_can(connected: Connect, role: str, tmp_path: Path) -> None:
    registry = Registry(connected(role))
    scope = object_scope(f"t_{role}")
    registry.set(scope, RouteTarget("filesystem", {"base_dir": str(tmp_path)}, Mode.LAB), by())
    registry.delete(scope, by())


@pytest.mark.parametrize("role", ["producer", "worker", "reader"])
def test_who_does_not_is_refused(connected: Connect, role: str, tmp_path: Path) -> None:
    registry = Registry(connected(role))
    target = RouteTarget("filesystem", {"base_dir": str(tmp_path)}, Mode.LAB)
    with pytest.raises(StateUnavailable, match=r"(?i)permission|noperm"):
        registry.set(object_scope(f"t_{role}"), target, by())
