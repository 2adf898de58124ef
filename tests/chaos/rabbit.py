"""A RabbitMQ of our own, where one is installed: a node with data, port and names of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kombu.connection import Connection
from kombu.exceptions import OperationalError

from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.process import ManagedProcess
from signalbox.producers.embedded.stack import WORKER_READY_WITHIN
from tests.chaos.part import CannotRun
from tests.conformance.lasting import start_lasting

VIRTUAL_HOSTS = [f"test-{number}" for number in range(20)]
# The wrapper on the PATH changes the user; the program itself does not.
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


@dataclass(frozen=True)
class Rabbit:
    """A broker on loopback that may be killed."""

    url: str
    _server: ManagedProcess

    def kill(self) -> None:
        """SIGKILL: what it has not put on its disk is gone."""
        self._server.kill()

    def start(self) -> None:
        """Returns when it answers."""
        self._server.start()
        self._server.wait_until(lambda: _answers(self.url), WORKER_READY_WITHIN)


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """The URL of a broker on loopback. Raises CannotRun where none is installed."""
    with rabbit(folder) as broker:
        yield broker.url


@contextmanager
def rabbit(folder: Path, virtual_hosts: Sequence[str] = ("/",)) -> Iterator[Rabbit]:
    """The same, for who kills it."""
    found = str(PROGRAM) if PROGRAM.exists() else shutil.which("rabbitmq-server")
    if found is None:
        raise CannotRun("no RabbitMQ here: install rabbitmq-server")
    port, names = free_port(), free_port()
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    home = folder / "rabbitmq"
    home.mkdir(parents=True)
    environment = _names(home, port, names) | {
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        # A scheduler of Erlang that has nothing to do would spin for a while.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
    }
    (home / "epmd-port").write_text(str(names))
    (home / "plugins").write_text("[].\n")
    (home / "rabbitmq.conf").write_text(f"load_definitions = {home}/definitions.json\n")
    (home / "definitions.json").write_text(json.dumps(_definitions(virtual_hosts)))
    server = ManagedProcess("rabbitmq", [found], folder / "logs" / "rabbitmq.log", environment)
    broker = Rabbit(url, server)
    try:
        broker.start()
        yield broker
    finally:
        server.stop()
        # Erlang's own name server, which the node started on a port of ours.
        if epmd := shutil.which("epmd"):
            subprocess.run([epmd, "-port", str(names), "-kill"], capture_output=True, check=False)


def shared_rabbitmq() -> tuple[str, Path]:
    """The URL and the folder of the one server that the tests share. Raises CannotRun.

    A server takes ten seconds of processor time to start.
    """
    port, _, folder = start_lasting("-m", "tests.chaos.rabbit_server").partition(" ")
    if not port:
        raise CannotRun("no RabbitMQ here: install rabbitmq-server")
    return f"amqp://guest:guest@127.0.0.1:{port}//", Path(folder)


def virtual_host() -> str:
    """The URL of an empty virtual host of that server. Raises CannotRun."""
    url, folder = shared_rabbitmq()
    for name in VIRTUAL_HOSTS:
        with suppress(FileExistsError):
            Path(folder, f"taken-{name}").touch(exist_ok=False)
            return url.removesuffix("/") + name
    raise LookupError("name more VIRTUAL_HOSTS")


def rabbitmqctl(url: str, folder: Path, *words: str) -> None:
    """Run the tool on the broker that was started there."""
    home, program = folder / "rabbitmq", PROGRAM.with_name("rabbitmqctl")
    found = str(program) if program.exists() else shutil.which("rabbitmqctl")
    assert found is not None, "the server came without its tool"
    port = int(url.rstrip("/").rpartition(":")[2])
    names = int((home / "epmd-port").read_text())
    subprocess.run([found, *words], check=True, capture_output=True, env=_names(home, port, names))


def _names(home: Path, port: int, names: int) -> dict[str, str]:
    """How Erlang's nodes of this broker find one another, and no others."""
    return os.environ | {
        "HOME": str(home),
        "RABBITMQ_NODENAME": f"chaos{port}@localhost",
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


def _definitions(virtual_hosts: Sequence[str]) -> dict[str, Any]:
    """What the server begins with: its usual user, for each of these."""
    salt = b"salt"
    digest = hashlib.sha256(salt + b"guest").digest()
    guest = {
        "name": "guest",
        "password_hash": base64.b64encode(salt + digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "administrator",
    }
    all_of_it = {"user": "guest", "configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [guest],
        "vhosts": [{"name": name} for name in virtual_hosts],
        "permissions": [all_of_it | {"vhost": name} for name in virtual_hosts],
    }


def _answers(url: str) -> bool:
    port = int(url.rstrip("/").rpartition(":")[2])
    try:
        socket.create_connection(("127.0.0.1", port)).close()  # at a tenth of what a client costs
        with Connection(url, connect_timeout=60) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, interval_start=0)
    except (OSError, OperationalError):
        return False
    return True
