"""A deployment in which each part has a user of its own, and what each user does there."""

from __future__ import annotations

import os
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import redis

from signalbox.commands.settings import Settings
from signalbox.producers.access.acl import ROLES
from signalbox.producers.cli.main import main
from signalbox.producers.embedded.process import ManagedProcess
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.stack import WORKER_READY_WITHIN, EmbeddedStack
from tests.integration.conftest import QUICK

DATABASE = 1
"""Not 0, so that SELECT is needed."""


def password(user: str) -> str:
    return f"pw-{user}-of-the-test"


END = "end-of-the-watch"


class Watch:
    """What each user does on a server, by MONITOR: commands, also those within scripts, with
    what they name. MONITOR tells addresses, and CLIENT LIST whose they are, which is asked when an
    address that is not known yet says something."""

    def __init__(self, port: int) -> None:
        # Without a limit: there may be nothing to tell for longer than the usual five seconds.
        self._admin = redis.Redis(port=port, socket_timeout=None)
        self._asking = redis.Redis(port=port, single_connection_client=True)
        self._users: dict[str, str] = {}
        self._lines: list[str] = []
        self._connection = self._admin.connection_pool.get_connection()
        self._connection.send_command("MONITOR")  # type: ignore[no-untyped-call]  # untyped in redis-py
        assert self._connection.read_response() == b"OK"
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        of_no_user = {"lua", self._asking.client_info()["addr"]}
        while END not in (line := self._connection.read_response().decode("utf-8", "replace")):
            self._lines.append(line)
            address, _ = _address_and_words(line)
            if address not in self._users and address not in of_no_user:
                self._ask_users()

    def _ask_users(self) -> None:
        for client in self._asking.client_list():
            if client["user"] != "default":  # it may not have said yet who it is
                self._users[client["addr"]] = client["user"]

    def saw(self, *words: str) -> bool:
        """Whether somebody has said these words, without regard to case, in one line."""
        return any(all(word in line.lower() for word in words) for line in tuple(self._lines))

    def stop(self) -> dict[str, set[tuple[str, ...]]]:
        """By user: each call, the command in lower case; under `?` those of nobody knows whom."""
        self._admin.echo(END)  # after all that was said before, which may not be read yet
        self._thread.join()
        self._asking.close()
        found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        user = ""
        for line in self._lines:
            address, said = _address_and_words(line)
            if address != "lua":
                user = self._users.get(address, "?")
            name, *words = _words(said)
            found[user].add((name.lower(), *words))
        return found


def _address_and_words(line: str) -> tuple[str, str]:
    _, _, rest = line.partition("[")
    where, _, said = rest.partition("] ")
    return where.split(" ", 1)[1], said


def _words(said: str) -> Iterator[str]:
    for part in said.removeprefix('"').removesuffix('"').split('" "'):
        yield part.replace('\\"', '"').replace("\\\\", "\\")


class Deployment:
    """Two servers, with a worker, a gateway and Flower, each under its own name."""

    def __init__(
        self, folder: Path, running: ExitStack, binary: str, *, one_server: bool = False
    ) -> None:
        self.folder, self.running = folder, running
        state = RedisServer(folder / "state", binary=binary)
        broker = state if one_server else RedisServer(folder / "broker", binary=binary)
        self.servers = {"state": state, "broker": broker}
        for server in dict.fromkeys(self.servers.values()):
            server.start()
            running.callback(server.stop)

    def admin(self, name: str) -> redis.Redis:
        return redis.Redis(port=self.servers[name].port, db=DATABASE)

    def make_users(
        self, *options: str, roles: Sequence[str] = ROLES, more: Sequence[str] = ()
    ) -> None:
        """As `signalbox acl` has them; the default user stays, for the tests."""
        file = self.folder / "passwords"
        lines = [*(f"{role} {password(role)}" for role in roles), *more]
        file.write_text("\n".join(lines))
        for name in self.servers:
            admin: Any = self.admin(name)
            said = self.do("admin", "acl", name, "--passwords", str(file), *options)
            for line in said.splitlines():
                assert admin.execute_command(*line.split()) in (True, b"OK"), line

    def url(self, name: str, user: str) -> str:
        return f"redis://{user}:{password(user)}@127.0.0.1:{self.servers[name].port}/{DATABASE}"

    def connect(self, name: str, user: str) -> redis.Redis:
        return redis.Redis.from_url(self.url(name, user))

    def environment(self, user: str) -> dict[str, str]:
        return {
            "SIGNALBOX_STATE_URL": self.url("state", user),
            "SIGNALBOX_BROKER_URL": self.url("broker", user),
            "SIGNALBOX_PAYLOAD_DIR": str(self.folder / "stack" / "payloads"),
        }

    def settings(self, user: str) -> Settings:
        return Settings(
            state_url=self.url("state", user),
            broker_url=self.url("broker", user),
            payload_dir=self.folder / "stack" / "payloads",
        )

    def start(self, **more: str) -> None:
        os.environ.update(QUICK | more)
        self.stack = EmbeddedStack(
            self.folder / "stack",
            workers=1,
            flower=False,
            state_url=self.url("state", "worker"),
            broker_url=self.url("broker", "worker"),
        )
        self.running.enter_context(self.stack)
        self.gateway = self.start_gateway("gateway")

    def start_gateway(self, user: str) -> str:
        return self.stack.start_gateway(SIGNALBOX_GATEWAY_PORT="0", **self.environment(user))

    def start_flower(self) -> ManagedProcess:
        flower = ManagedProcess(
            "flower",
            [
                *(sys.executable, "-m", "celery", "-A", "signalbox.workers.app", "flower"),
                *("--address=127.0.0.1", "--port=0"),
            ],
            self.folder / "flower.log",
            os.environ | {"SIGNALBOX_BROKER_URL": self.url("broker", "flower")},
        )
        flower.start()
        self.running.callback(flower.stop)
        flower.wait_until(lambda: flower.said("Visit me at"), WORKER_READY_WITHIN)
        return flower

    def do(self, user: str, *words: str, code: int = 0) -> str:
        """A command line as that user; what it printed."""
        os.environ.update(self.environment(user))
        printed = StringIO()
        before, ended = sys.argv, 0
        sys.argv = ["signalbox", *words]
        try:
            with redirect_stdout(printed), redirect_stderr(printed):
                main()
        except SystemExit as end:
            ended = end.code if isinstance(end.code, int) else int(bool(end.code))
        finally:
            sys.argv = before
        assert ended == code, f"{words} as {user}: {ended}\n{printed.getvalue()}"
        return printed.getvalue()

    def refusals(self) -> list[str]:
        """What the servers refused to anyone since it was asked last."""
        found = []
        for name in self.servers:
            admin: Any = self.admin(name)
            for entry in admin.acl_log():
                told = [entry[key] for key in ("username", "reason", "object", "context")]
                found.append(f"{name}: {told} {entry['client-info']}")
            admin.acl_log_reset()
        return found


@contextmanager
def deployment(folder: Path, binary: str, *, one_server: bool = False) -> Iterator[Deployment]:
    before = dict(os.environ)
    try:
        with ExitStack() as running:
            yield Deployment(folder, running, binary, one_server=one_server)
    finally:
        os.environ.clear()
        os.environ.update(before)
