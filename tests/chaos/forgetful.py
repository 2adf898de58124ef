"""A Redis that keeps nothing: whatever it holds is gone when it ends, as of a broker in memory."""

from __future__ import annotations

from pathlib import Path

import redis

from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.process import ManagedProcess
from signalbox.producers.embedded.redis_server import find_redis_server
from signalbox.producers.embedded.stack import WORKER_READY_WITHIN


class ForgetfulRedis:
    """A broker without any persistence, on one port for all of its lives."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(folder)}
        options |= {"appendonly": "no", "save": "", "maxmemory-policy": "noeviction"}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        folder.mkdir(parents=True)
        self._process = ManagedProcess(
            "broker", [find_redis_server().path, *arguments], folder / "redis.log"
        )

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        return self._process.running

    def start(self) -> None:
        """Start it, empty; returns when it answers. Raises Unavailable."""
        self._process.start()
        self._process.wait_until(self._answers, WORKER_READY_WITHIN)

    def kill(self) -> None:
        """SIGKILL: every message is gone."""
        self._process.kill()

    def _answers(self) -> bool:
        with redis.Redis(port=self.port, socket_timeout=60) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False
