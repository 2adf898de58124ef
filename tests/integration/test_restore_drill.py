"""The restore drill: a backup of the state Redis under load, put back after newer work was done.

Whether workers run on or were restarted: no write that says `done` is missing, and nothing newer
is undone.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from signalbox.commands.ledger.era import LedgerEras
from signalbox.commands.model import Command
from signalbox.commands.object_store import DeleteObject, GetObject, GetResult, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from signalbox.producers.client.submission import Submission
from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.s3_stand_in import S3StandIn
from signalbox.producers.embedded.stack import EmbeddedStack
from signalbox.routing.registry.rebase import rebase
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from tests.conftest import need_redis
from tests.integration.backup import back_up, put_back
from tests.integration.conftest import QUICK, TIMEOUT, object_scope, wait_until
from tests.integration.operating import by

FILES, CLOUD = "t_files", "t_cloud"
KEYS = [f"k{number:02}" for number in range(20)]
DELETED = [KEYS[2], KEYS[7], KEYS[12], KEYS[17]]
"""Deleted since the backup; three of them are put by commands that are open in it."""


@dataclass
class Drill:
    """A stack on a state Redis that goes back in time, and what each key is to hold."""

    data: Path
    state: RedisServer
    stack: EmbeddedStack
    client: Client
    registry: Registry
    newest: dict[tuple[str, str], bytes | None] = field(default_factory=dict)
    """The content of the command that was accepted last on each key; None for a delete."""

    def submit(self, *commands: Command) -> list[Submission]:
        submitted = self.client.submit_many(commands)
        for command in commands:
            assert isinstance(command, PutObject | DeleteObject)
            content = inline(command) if isinstance(command, PutObject) else None
            self.newest[command.tenant_id, command.key] = content
        return submitted

    def done(self, submitted: list[Submission]) -> None:
        """All of them are done, and none of them says that something newer kept it out."""
        for outcome in self.client.wait(submitted, TIMEOUT):
            assert outcome is not None
            assert outcome.error is None
            assert not (outcome.result or {}).get("superseded")

    def check(self) -> None:
        """Every key holds what was accepted last on it."""
        wrong = {}
        for (tenant, key), content in self.newest.items():
            get = GetObject(tenant_id=tenant, env="dev", key=key)
            outcome = self.client.run_outcome(get, TIMEOUT)
            found = None
            if outcome.error is None:
                payload = GetResult.model_validate(outcome.result).payload
                assert isinstance(payload, InlinePayload)
                found = payload.data
            else:
                assert outcome.error.code == "NOT_FOUND"
            if found != content:
                wrong[tenant, key] = (found, content)
        assert wrong == {}

    def signal_workers(self, number: signal.Signals) -> None:
        for worker in self.stack.workers:
            os.kill(worker.pid, number)

    def stop_workers(self) -> None:
        for worker in list(self.stack.workers):
            worker.kill()
            self.stack.workers.remove(worker)


def inline(command: PutObject) -> bytes:
    assert isinstance(command.payload, InlinePayload)
    return command.payload.data


def put(tenant: str, key: str, content: str) -> PutObject:
    payload = InlinePayload(data=content.encode())
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=payload)


def delete(tenant: str, key: str) -> DeleteObject:
    return DeleteObject(tenant_id=tenant, env="dev", key=key)


class Load(threading.Thread):
    """Overwrites keys of its own, again and again; what it submitted was done when it has ended."""

    def __init__(self, drill: Drill) -> None:
        super().__init__(daemon=True)
        self._drill, self._ended = drill, threading.Event()
        self.rounds = 0

    def run(self) -> None:
        submitted: list[Submission] = []
        while not self._ended.wait(0.1):
            self.rounds += 1
            content = f"round {self.rounds}"
            both = [put(t, f"load{n}", content) for t in (FILES, CLOUD) for n in range(5)]
            submitted = self._drill.submit(*both)
        self._drill.done(submitted)

    def end(self) -> None:
        self._ended.set()
        self.join(TIMEOUT.total_seconds())
        assert not self.is_alive()


@pytest.fixture
def drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drill]:
    need_redis()
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as ended:
        # The broker is another server: what it holds does not go back in time.
        # On ports that nobody prefers, since it is down for a moment.
        servers = [RedisServer(tmp_path / name, free_port()) for name in ("state", "broker")]
        for server in servers:
            server.start()
            ended.callback(server.stop)
        state, broker = servers
        s3 = ended.enter_context(S3StandIn(tmp_path / "s3"))
        s3.create_bucket("drill")
        settings = Settings(state_url=state.url, broker_url=broker.url)
        stack = EmbeddedStack(
            tmp_path / "stack",
            workers=2,
            flower=False,
            state_url=state.url,
            broker_url=broker.url,
        )
        ended.enter_context(stack)
        monkeypatch.setenv("SIGNALBOX_PAYLOAD_DIR", stack.environment["SIGNALBOX_PAYLOAD_DIR"])
        client = ended.enter_context(Client(settings))
        registry = Registry(connect(state.url))
        cloud: RouteConfig = {
            "bucket": "drill",
            "region": "us-east-1",
            "endpoint_url": s3.endpoint_url,
            "credentials_file": str(s3.credentials_file),
        }
        folder: RouteConfig = {"base_dir": str(tmp_path / "objects")}
        for tenant, backend, config in ((FILES, "filesystem", folder), (CLOUD, "s3", cloud)):
            registry.set(object_scope(tenant), RouteTarget(backend, config, Mode.LAB), by())
        yield Drill(tmp_path, state, stack, client, registry)


def waits_for(drill: Drill, submitted: list[Submission]) -> list[str]:
    records = drill.client.ledger.records([each.command.ref for each in submitted])
    return [r.waits_for.code if r and r.waits_for else "" for r in records]


@pytest.mark.parametrize("workers", ["run on", "are restarted"])
def test_a_restored_ledger_undoes_nothing_and_says_done_of_nothing_that_is_not_there(
    drill: Drill, workers: str
) -> None:
    tenants = (FILES, CLOUD)
    drill.done(drill.submit(*(put(t, key, "old") for t in tenants for key in KEYS)))
    load = Load(drill)
    load.start()
    wait_until(lambda: load.rounds > 3, "there is load")
    # Frozen for the moment, so that the backup surely holds commands that are open.
    drill.signal_workers(signal.SIGSTOP)
    still_open = drill.submit(
        *(put(t, key, "open") for t in tenants for key in KEYS[:10]),
        *(delete(t, key) for t in tenants for key in KEYS[10:15]),
    )
    back_up(drill.data / "state", drill.data / "backup")
    drill.signal_workers(signal.SIGCONT)

    drill.done(still_open)
    drill.done(drill.submit(*(put(t, key, "newer") for t in tenants for key in KEYS[5:15])))
    drill.done(drill.submit(*(delete(t, key) for t in tenants for key in DELETED)))
    load.end()
    drill.check()
    # So that no lease is left, for which the runbook waits.
    wait_until(lambda: drill.client.ledger.totals()["open"] == 0, "nothing is open")

    if workers == "are restarted":
        drill.stop_workers()
    put_back(drill.state, drill.data / "state", drill.data / "backup")
    outcomes = drill.client.ledger.outcomes([each.command.ref for each in still_open])
    assert outcomes == [None] * len(still_open), "the backup was taken too late to mean anything"
    if workers == "are restarted":
        for _ in range(2):
            drill.stack.start_worker()
        after: list[Submission] = []
    else:
        after = drill.submit(*(put(t, "after", "the restore") for t in tenants))
        wait_until(
            lambda: waits_for(drill, after) == ["LEDGER_REGRESSED"] * 2, "the loss is noticed"
        )
        assert len(LedgerEras(connect(drill.state.url)).lost()) == 2
        rebase(drill.registry, by(reason="restored"))
    after += drill.submit(*(put(t, key, "last") for t in tenants for key in KEYS[::4]))
    drill.done(after)
    wait_until(lambda: drill.client.ledger.totals()["open"] == 0, "nothing is open")
    for outcome in drill.client.ledger.outcomes([each.command.ref for each in still_open]):
        assert outcome is not None
        assert outcome.error is None
    drill.check()
