"""A state Redis that comes back older than it was: nothing runs on what it lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from signalbox.producers.client.submission import Submission
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.stack import EmbeddedStack
from signalbox.routing.registry.rebase import rebase
from signalbox.routing.registry.registry import Registry
from tests.conftest import need_redis
from tests.integration.backup import back_up, put_back
from tests.integration.conftest import QUICK, TIMEOUT, object_scope, wait_until
from tests.integration.operating import by, point
from tests.integration.stored import keys_below

TENANTS = ("t_seen", "t_unseen")


@dataclass
class Deployment:
    """A stack whose state Redis can be made to lose something, and one to ask it with."""

    data: Path
    state: RedisServer
    stack: EmbeddedStack
    client: Client
    registry: Registry

    def point(self, tenant: str, name: str) -> None:
        point(self.registry, str(self.data / name), scope=object_scope(tenant))

    def submit(self, key: str) -> list[Submission]:
        """A put for each tenant, each in a message of its own."""
        return [self.client.submit(put(tenant, key)) for tenant in TENANTS]

    def done(self, submitted: list[Submission]) -> list[Outcome]:
        outcomes = self.client.wait(submitted, TIMEOUT)
        found = [outcome for outcome in outcomes if outcome and outcome.error is None]
        assert len(found) == len(submitted)
        return found

    def folders_with(self, key: str) -> set[str]:
        """The places in which an object of this key was stored."""
        return {place.name for place in self.data.iterdir() if key in keys_below(place)}


def put(tenant: str, key: str) -> PutObject:
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=InlinePayload(data=b"x"))


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    need_redis()
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as ended:
        # The broker is another server: what it holds does not go back in time.
        servers = [RedisServer(tmp_path / name) for name in ("state", "broker")]
        for server in servers:
            server.start()
            ended.callback(server.stop)
        state, broker = servers
        stack = EmbeddedStack(
            tmp_path / "stack",
            workers=0,
            flower=False,
            state_url=state.url,
            broker_url=broker.url,
        )
        ended.enter_context(stack)
        monkeypatch.setenv("SIGNALBOX_PAYLOAD_DIR", stack.environment["SIGNALBOX_PAYLOAD_DIR"])
        settings = Settings(state_url=state.url, broker_url=broker.url)
        client = ended.enter_context(Client(settings))
        yield Deployment(tmp_path, state, stack, client, Registry(connect(state.url)))


def wait_until_refused(deployment: Deployment, submitted: list[Submission]) -> None:
    refs = [submission.command.ref for submission in submitted]

    def refused() -> bool:
        records = [record for record in deployment.client.ledger.records(refs) if record]
        codes = [record.waits_for.code if record.waits_for else "" for record in records]
        # Of a tenant whose commands were claimed since, the ledger lost something as well.
        return set(codes) <= {"REGISTRY_REGRESSED", "LEDGER_REGRESSED"}

    wait_until(refused, "all wait for the registry")


@pytest.mark.parametrize("begun_anew", [False, True])
def test_on_an_older_copy_nothing_runs_on_a_lost_route_until_the_registry_is_rebased(
    deployment: Deployment, begun_anew: bool
) -> None:
    for tenant in TENANTS:
        deployment.point(tenant, "old")
    back_up(deployment.data / "state", deployment.data / "backup")
    deployment.point("t_unseen", "new")
    # It began after this change, and no command has asked for that route: it knows the head alone.
    deployment.stack.start_worker()
    deployment.point("t_seen", "new")
    first = deployment.client.run_outcome(put("t_seen", "before"), TIMEOUT)
    assert first.error is None

    put_back(deployment.state, deployment.data / "state", deployment.data / "backup")
    submitted = deployment.submit("after")
    wait_until_refused(deployment, submitted)
    if begun_anew:
        # As many changes as were lost, and more: still another history than the worker knows.
        for number in range(4):
            deployment.point("t_other", f"other{number}")
        again = deployment.submit("more")
        wait_until_refused(deployment, again)
        submitted += again
    assert deployment.folders_with("after") == set()

    for tenant in TENANTS:
        deployment.point(tenant, "new")
    wait_until_refused(deployment, submitted)
    rebase(deployment.registry, by(reason="restored from the backup of the morning"))
    outcomes = deployment.done(submitted)
    assert {outcome.attempt for outcome in outcomes} == {1}, "waiting spent attempts"
    assert deployment.folders_with("after") == {"new"}
    deployment.stack.workers[0].kill()
    deployment.stack.start_worker()
    deployment.done(deployment.submit("restarted"))


def test_a_promoted_replica_that_missed_the_last_change_is_found_and_healed_by_a_rebase(
    deployment: Deployment,
) -> None:
    for tenant in TENANTS:
        deployment.point(tenant, "old")
    replica = RedisServer(deployment.data / "replica")
    replica.start()
    link = connect(replica.url)
    link.server().replicaof("127.0.0.1", deployment.state.port)

    def in_step() -> bool:
        info = link.server().info("replication")
        behind = connect(deployment.state.url).server().info("replication")["master_repl_offset"]
        return bool(info["master_link_status"] == "up" and info["slave_repl_offset"] == behind)

    wait_until(in_step, "the replica is in step")
    deployment.stack.start_worker()
    deployment.done(deployment.submit("before"))
    wait_until(in_step, "the replica is in step")
    link.server().replicaof("NO", "ONE")
    deployment.point("t_seen", "new")
    lost = deployment.client.run_outcome(put("t_seen", "seen"), TIMEOUT)
    assert lost.route_revision == 3

    deployment.state.kill()
    replica.stop()
    promoted = RedisServer(deployment.data / "replica", deployment.state.port)
    promoted.start()
    try:
        # A change on the promoted one takes the lost change's revision, with another hash.
        deployment.point("t_unseen", "newer")
        assert deployment.registry.head().revision == 3
        submitted = deployment.submit("after")
        wait_until_refused(deployment, submitted)
        assert deployment.folders_with("after") == set()
        deployment.point("t_seen", "new")
        rebase(deployment.registry, by(reason="the replica was promoted"))
        deployment.done(submitted)
        assert deployment.folders_with("after") == {"new", "newer"}
    finally:
        for worker in deployment.stack.workers:
            worker.kill()
        promoted.stop()
