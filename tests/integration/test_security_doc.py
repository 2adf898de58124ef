"""docs/security.md: its commands as they stand, and what each user can and cannot do then."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import celery
import pytest
import redis

from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import DeleteRoute
from signalbox.commands.scope import ResourceKind
from signalbox.commands.settings import Settings
from signalbox.producers.broker.publisher import make_app
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.stack import EmbeddedStack
from tests.conftest import need_redis
from tests.forked import write_command
from tests.integration.conftest import QUICK, TIMEOUT, wait_until
from tests.integration.test_operations_doc import steps

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
PLACE = {"tenant_id": "t_acme", "env": "prod"}


class Deployment:
    """Two servers with the page's users, a worker, and a shell that is one user after the other."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder, self._running = folder, running
        self.servers = {name: RedisServer(folder / name) for name in ("state", "broker")}
        for server in self.servers.values():
            server.start()
            running.callback(server.stop)
        tools = folder / "bin"
        tools.mkdir()
        write_command(tools)
        path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = os.environ | {
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "STATE": self.servers["state"].url,
            "BROKER": self.servers["broker"].url,
            "SIGNALBOX_STATE_URL": self.servers["state"].url,
            "SIGNALBOX_BROKER_URL": self.servers["broker"].url,
            **QUICK,
        }
        self.exports: list[str] = []

    def url(self, name: str, user: str) -> str:
        lines = (self.folder / "passwords").read_text().splitlines()
        password = dict(line.split() for line in lines)[user]
        return f"redis://{user}:{password}@127.0.0.1:{self.servers[name].port}/0"

    def connect(self, name: str, user: str) -> redis.Redis:
        return redis.Redis.from_url(self.url(name, user))

    def settings(self, user: str) -> Settings:
        return Settings(
            state_url=self.url("state", user),
            broker_url=self.url("broker", user),
            payload_dir=self.folder / "stack" / "payloads",
        )

    def start(self) -> None:
        """A worker as the page has it, and the shell of an operator."""
        for line in self.exports:
            name, _, value = line.removeprefix("export ").partition("=")
            os.environ[name] = value.strip('"').replace("$PWD", str(self.folder))
        os.environ.update(QUICK)
        stack = EmbeddedStack(
            self.folder / "stack",
            workers=1,
            flower=False,
            state_url=self.url("state", "worker"),
            broker_url=self.url("broker", "worker"),
        )
        self._running.enter_context(stack)
        self.become("operator")

    def become(self, user: str) -> None:
        self.environment |= {
            "SIGNALBOX_STATE_URL": self.url("state", user),
            "SIGNALBOX_BROKER_URL": self.url("broker", user),
            "SIGNALBOX_PAYLOAD_DIR": str(self.folder / "stack" / "payloads"),
        }

    def run(self, command: str) -> None:
        command, _, remark = command.partition("   # ")
        if command.startswith("export "):
            self.exports.append(command)
            return
        if command.startswith("rabbitmqctl "):
            return  # tests/integration/test_security_rabbitmq.py
        done = subprocess.run(
            ["bash", "-c", "\n".join([*self.exports, command])],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        output = done.stdout + done.stderr
        code, _, error = remark.partition(": ")
        assert done.returncode == int(code or 0), f"{command}\n{output}"
        assert error in output, f"{command}\n{output}"
        # redis-cli ends with 0 whatever it was answered.
        assert "redis-cli" not in command or "OK" in output, f"{command}\n{output}"


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    need_redis()
    before = dict(os.environ)
    try:
        with ExitStack() as running:
            yield Deployment(tmp_path, running)
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_every_command_of_the_page_does_what_it_says_and_users_are_kept_apart(
    deployment: Deployment,
) -> None:
    hooks: dict[str, Callable[[], None]] = {
        "<!-- test: start a worker, and be an operator -->": deployment.start,
        "<!-- test: be a producer -->": lambda: deployment.become("producer"),
    }
    for step in steps(PAGE.read_text()):
        if step in hooks:
            hooks.pop(step)()
        else:
            deployment.run(step)
    assert not hooks
    with Client(deployment.settings("producer")) as client:
        check_what_a_producer_can_do(client)
    check_what_a_producer_cannot_do(deployment)


def check_what_a_producer_can_do(client: Client) -> None:
    content = InlinePayload(data=b"x")
    puts: list[Command] = [
        PutObject.model_validate(PLACE | {"key": f"k{n}", "payload": content}) for n in range(20)
    ]
    puts.append(
        PutObject.model_validate(
            PLACE | {"key": "large", "payload": client.content.payload(b"x" * 100_000)}
        )
    )
    for outcome in client.wait(client.submit_many(puts), TIMEOUT):
        assert outcome is not None
        outcome.unwrap()
    change = DeleteRoute.model_validate(
        PLACE | {"resource_kind": ResourceKind.OBJECT_STORE, "actor": "ann", "reason": "r"}
    )
    # Into the ledger, and under a queue's name that is open to it.
    refused = client.submit(change)
    app = make_app(client.settings)
    ticket = {"ticket": 1, "op": change.op, "ref": change.ref}
    app.send_task(change.op, kwargs={"command": ticket}, queue="object_store.0")
    # A service with a Celery of its own, too.
    celery.Celery(broker=client.settings.broker_url).send_task(
        change.op, kwargs={"command": ticket}, queue="object_store.0"
    )
    [outcome] = client.wait([refused], TIMEOUT)
    assert outcome is not None
    assert outcome.error is not None
    assert outcome.error.code == "CONTROL_REFUSED"


def check_what_a_producer_cannot_do(deployment: Deployment) -> None:
    broker = deployment.connect("broker", "producer")
    state = deployment.connect("state", "producer")
    attempts: list[Callable[[], object]] = [
        lambda: broker.lpush("routing.0", "x"),
        lambda: broker.lpush("commands.0", "x"),
        lambda: broker.delete("object_store.0"),
        lambda: broker.lrange("object_store.0", 0, -1),
        lambda: broker.rpop("object_store.0"),
        lambda: broker.publish("/0.celery.pidbox", "x"),
        lambda: broker.flushall(),
        lambda: broker.config_get("*"),
        lambda: state.set("{rt}:permit:t_acme/prod/x", "x"),
        lambda: state.hset("{rt}:routes", "object_store/t_acme/prod", "x"),
        lambda: state.hgetall("{rt}:routes"),
        lambda: state.xadd("{rt}:log", {"x": "y"}),
        lambda: state.eval("return redis.call('HGETALL', KEYS[1])", 1, "{rt}:routes"),
        lambda: state.eval("return redis.call('HGETALL', '{rt}:routes')", 0),
        lambda: state.keys("*"),
        lambda: state.flushall(),
        lambda: state.config_set("save", "1 1"),
    ]
    for attempt in attempts:
        with pytest.raises(redis.ResponseError, match=r"(?i)NOPERM|permission|can't access"):
            attempt()
    for name in deployment.servers:
        port = deployment.servers[name].port
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
    operator = deployment.connect("state", "operator")
    wait_until(lambda: bool(operator.hget("{rt}:routes", "object_store/t_acme/prod")), "the route")
