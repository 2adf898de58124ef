"""The embedded Redis or Valkey server: found on this machine, and started on its data directory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from signalbox.commands.error import Unavailable
from signalbox.producers.embedded.ports import free_port, start_on_free_port
from signalbox.producers.embedded.process import ManagedProcess
from signalbox.producers.embedded.server_build import INSTALL, ServerBuild, build_of, server_paths
from signalbox.producers.embedded.server_data import ServerData, data_in, guard, unreadable

READY_WITHIN = timedelta(seconds=60)
"""Maximum time until the server answers: loading a large append-only file takes long."""


OLDEST = (6, 2)
"""Oldest version of Redis that the ledger is tested with."""
_TOO_NEW = ("Can't handle RDB format version", "Wrong signature trying to load DB")


def find_redis_server(data_dir: Path | None = None) -> ServerBuild:
    """Return the first server on this machine that can read the data in `data_dir`.

    Tried are the wheel's, `valkey-server` and `redis-server` on PATH. Raises StateUnreadable if
    none can read it, and Unavailable if there is none.
    """
    return _choose(server_paths(), data_dir)


def _choose(paths: Sequence[str], data_dir: Path | None) -> ServerBuild:
    data = data_in(data_dir) if data_dir is not None else ServerData()
    cannot_read, unfit = [], []
    for path in paths:
        try:
            build = build_of(path)
        except Unavailable as error:
            unfit.append(error.message)
            continue
        if build.version < OLDEST:
            unfit.append(f"{path} is {build}, which is too old")
        elif not data.read_by(build):
            cannot_read.append(f"{build} ({path})")
        else:
            return build
    if data_dir is not None and cannot_read:
        raise unreadable(data_dir, " and ".join(cannot_read), data.writer)
    why = "; ".join(unfit)
    raise Unavailable(
        f"no Redis or Valkey server on this machine{f': {why}' if why else ''}", next_step=INSTALL
    )


class RedisServer:
    """A server on loopback with the durability settings that the ledger needs.

    Without `port` one is chosen, again if another process takes it before the first start. Without
    `binary` the server is the one that `find_redis_server` finds for the data.
    """

    def __init__(
        self, data_dir: Path, port: int | None = None, *, binary: str | None = None
    ) -> None:
        self._data_dir = data_dir
        self._binary = binary
        self.port = port or free_port(6379)
        self._may_move = port is None
        self._build: ServerBuild | None = None
        self._process: ManagedProcess | None = None

    @property
    def build(self) -> ServerBuild:
        """The server that was started. Raises Unavailable before `start`."""
        if self._build is None:
            raise Unavailable("Redis was not started")
        return self._build

    @property
    def url(self) -> str:
        """Address of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id. Raises Unavailable before `start`."""
        if self._process is None:
            raise Unavailable("Redis was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while the server runs."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start the server on the same port and data as before; return when it answers.

        Raises Unavailable with the end of its log, and StateUnreadable if the data belong to a
        server that this machine does not have.
        """
        paths = [self._binary] if self._binary else server_paths()
        self._build = _choose(paths, self._data_dir)
        if self._may_move:
            start_on_free_port(self.port, self._launch, self._wait)
        else:
            self._wait(self._launch(self.port), self.port)
        guard(self._data_dir, self._build)
        # Clients use the address from now on.
        self._may_move = False

    def _launch(self, port: int) -> ManagedProcess:
        self.port = port
        self._data_dir.mkdir(parents=True, exist_ok=True)
        settings = {
            "port": str(port),
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "dir": str(self._data_dir),
            # Acknowledged writes are on disk, and nothing is evicted.
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        log = self._data_dir / "redis.log"
        self._process = ManagedProcess("redis", [self.build.path, *arguments], log)
        self._process.start()
        return self._process

    def _wait(self, process: ManagedProcess, _: int) -> None:
        try:
            process.wait_until(self._ready, READY_WITHIN)
        except Unavailable as error:
            guard(self._data_dir)
            if any(map(process.said, _TOO_NEW)):
                raise unreadable(self._data_dir, f"{self.build} ({self.build.path})") from error
            raise

    def stop(self) -> None:
        """Stop the server."""
        if self._process is not None:
            self._process.stop()

    def restart(self) -> None:
        """Stop the server and start it again, on the same port and data."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """Send SIGKILL, as a crash would; `start` brings back all acknowledged writes."""
        if self._process is not None:
            self._process.kill()

    def _ready(self) -> bool:
        # At once, since it may convert the data and then take long, or fail, to read them.
        guard(self._data_dir)
        return self._answers()

    def _answers(self) -> bool:
        client = redis.Redis(
            port=self.port,
            socket_connect_timeout=0.5,
            socket_timeout=0.5,
            retry=Retry(NoBackoff(), 0),  # the caller retries
        )
        try:
            # Another server on that port would answer too, so compare the process id.
            return str(client.info("server")["process_id"]) == str(self.pid) and bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
