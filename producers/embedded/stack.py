"""The embedded stack: Redis, workers, Flower and the gateway, started and stopped together."""

from __future__ import annotations

import fcntl
import os
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import IO, Self

from signalbox.commands.error import Conflict, Unavailable
from signalbox.commands.extra import require
from signalbox.producers.embedded.ports import start_on_free_port
from signalbox.producers.embedded.process import ManagedProcess
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.running_stack import announced

GATEWAY_PORT = 8010
"""Preferred port of the gateway."""
FLOWER_COLUMNS = "name,state,kwargs,result,received,runtime,worker,uuid"
"""Columns of Flower's task list; the default shows neither tenants and keys nor the error."""
MAX_RESTARTS = 6
"""Maximum number of restarts within a minute."""
WORKER_READY_WITHIN = timedelta(minutes=5)
"""Maximum time until a worker is ready, for a machine that is busy."""


class EmbeddedStack:
    """A context manager that runs the whole system. All data is below `data_dir`, across restarts.

    `state_url` and `broker_url` name servers that run already; servers that are not given are
    started.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        workers: int = 2,
        flower: bool = True,
        gateway: bool = False,
        state_url: str | None = None,
        broker_url: str | None = None,
        worker_options: Sequence[str] = (),
    ) -> None:
        self._data_dir = data_dir
        self._worker_count = workers
        self._with_flower = flower
        self._with_gateway = gateway
        self._worker_options = worker_options
        self._given = (state_url, broker_url)
        self._started = ExitStack()
        self._number = 0
        self.workers: list[ManagedProcess] = []
        self.gateway: ManagedProcess | None = None
        self.addresses: dict[str, str] = {}
        self.servers: dict[str, str] = {}
        """What was started as `state` and `broker`, such as `Valkey 9.1.2`."""
        self.environment: dict[str, str] = {}
        self._redis: RedisServer | None = None

    @property
    def given(self) -> list[str]:
        """Addresses of servers that run already, which are neither started nor stopped here."""
        return [address for address in self._given if address is not None]

    @property
    def redis(self) -> RedisServer:
        """The Redis that this stack started. Raises Unavailable if it did not start one."""
        if self._redis is None:
            raise Unavailable("this stack uses a Redis that it did not start")
        return self._redis

    def start(self) -> None:
        """Start everything; return when all of it answers.

        Raises Conflict, ExtraNotInstalled, StateUnreadable and Unavailable.
        """
        needed = ["flower"] if self._with_flower else []
        needed += ["fastapi", "httptools", "uvicorn"] if self._with_gateway else []
        require("the embedded stack", "embedded", *needed)
        try:
            self._started.enter_context(_only_user_of(self._data_dir))
            state_url, broker_url = self._given
            if state_url is None or broker_url is None:
                self._redis = RedisServer(self._data_dir / "redis")
                self._redis.start()
                self._started.callback(self._redis.stop)
                roles = zip(("state", "broker"), self._given, strict=True)
                self.servers = {
                    role: f"{self._redis.build}" for role, given in roles if given is None
                }
                state_url, broker_url = (
                    state_url or self._redis.url,
                    broker_url or self._redis.url,
                )
            self.addresses = {"state": state_url, "broker": broker_url}
            self.environment = {
                "SIGNALBOX_STATE_URL": state_url,
                "SIGNALBOX_BROKER_URL": broker_url,
                "SIGNALBOX_PAYLOAD_DIR": str(self._data_dir / "payloads"),
            }
            started = [self._launch_worker() for _ in range(self._worker_count)]
            if self._with_flower:
                self._start_flower()
            if self._with_gateway:
                self.start_gateway()
            for worker, ready in started:
                worker.wait_until(ready.exists, WORKER_READY_WITHIN)
            self._started.enter_context(announced(self._data_dir, self.environment))
        except BaseException:
            self.stop()
            raise

    def start_worker(self) -> ManagedProcess:
        """Start one more worker; return when it consumes."""
        worker, ready = self._launch_worker()
        worker.wait_until(ready.exists, WORKER_READY_WITHIN)
        return worker

    def launch_worker(self) -> ManagedProcess:
        """Start one more worker; return at once."""
        return self._launch_worker()[0]

    def wait(self, say: Callable[[str], None]) -> None:
        """Restart workers and the gateway when they end, and report each restart with `say`.

        Never returns. Raises KeyboardInterrupt, and Unavailable if Redis ended or processes end
        again and again.
        """
        ended: deque[float] = deque(maxlen=MAX_RESTARTS)
        while True:
            if self._redis is not None and not self._redis.running:
                raise Unavailable("Redis ended", next_step=f"see {self._data_dir}/redis/redis.log")
            if self.gateway is not None and not self.gateway.running:
                self._count_end(ended, self.gateway)
                self.start_gateway()
                say(f"the gateway ended; another is at {self.addresses['gateway']}")
            for worker in [worker for worker in self.workers if not worker.running]:
                self._count_end(ended, worker)
                self.workers.remove(worker)
                say(f"{worker.name} ended; {self.start_worker().name} takes its place")
            time.sleep(0.5)

    def start_gateway(self, **settings: str) -> str:
        """Start a gateway, on port 8010 if that is free; return its address.

        `settings` are additional environment variables. Returns when the gateway listens.
        """
        said = self._data_dir / "gateway.ready"
        said.unlink(missing_ok=True)

        def start(port: int) -> ManagedProcess:
            defaults = {
                "SIGNALBOX_GATEWAY_BASE_DIR": str(self._data_dir),
                "SIGNALBOX_GATEWAY_PORT": str(port),
            }
            gateway = ManagedProcess(
                "gateway",
                [sys.executable, "-m", "signalbox.producers.cli.main", "gateway"],
                self._data_dir / "logs" / "gateway.log",
                defaults
                | os.environ
                | self.environment
                | settings
                | {"SIGNALBOX_GATEWAY_READY_FILE": str(said)},
            )
            gateway.start()
            self._started.callback(gateway.stop)
            return gateway

        def ready(gateway: ManagedProcess, _: int) -> None:
            gateway.wait_until(said.exists, WORKER_READY_WITHIN)
            self.gateway = gateway

        start_on_free_port(GATEWAY_PORT, start, ready)
        self.addresses["gateway"] = said.read_text()
        return self.addresses["gateway"]

    def stop(self) -> None:
        """Stop everything that this stack started, in reverse order, workers all at once."""
        for worker in self.workers:
            worker.terminate()
        self._started.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _count_end(self, ended: deque[float], process: ManagedProcess) -> None:
        if len(ended) == MAX_RESTARTS and time.monotonic() - ended[0] < 60:
            raise Unavailable("workers end again and again", next_step=f"see {process.log}")
        ended.append(time.monotonic())

    def _launch_worker(self) -> tuple[ManagedProcess, Path]:
        self._number += 1
        name = f"w{self._number}"
        ready = self._data_dir / f"{name}.ready"
        ready.unlink(missing_ok=True)
        worker = ManagedProcess(
            name,
            [
                *(sys.executable, "-m", "signalbox.producers.cli.main", "worker", "--name", name),
                *self._worker_options,
            ],
            self._data_dir / "logs" / f"{name}.log",
            os.environ | self.environment | {"SIGNALBOX_READY_FILE": str(ready)},
        )
        worker.start()
        self._started.callback(worker.stop)
        self.workers.append(worker)
        return worker, ready

    def _start_flower(self) -> None:
        def start(port: int) -> ManagedProcess:
            flower = ManagedProcess(
                "flower",
                [
                    *(sys.executable, "-m", "celery", "-A", "signalbox.workers.app", "flower"),
                    *("--address=127.0.0.1", f"--port={port}"),
                    f"--tasks-columns={FLOWER_COLUMNS}",
                ],
                self._data_dir / "logs" / "flower.log",
                # Flower's API stays disabled, since it has no login here: any page in a browser on
                # this machine could use it to stop workers and send tasks.
                os.environ | self.environment | {"FLOWER_UNAUTHENTICATED_API": "false"},
            )
            flower.start()
            self._started.callback(flower.stop, timedelta(seconds=3))
            return flower

        def ready(flower: ManagedProcess, port: int) -> None:
            address = f"http://127.0.0.1:{port}"
            # It logs its address after it has bound the port; before that, another stack's Flower
            # may answer there.
            flower.wait_until(
                lambda: flower.said("Visit me at") and _answers(f"{address}/healthcheck"),
                WORKER_READY_WITHIN,
            )
            self.addresses["flower"] = address

        start_on_free_port(5555, start, ready)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - our own Flower
    except OSError:
        return False
    return True


def _only_user_of(data_dir: Path) -> IO[str]:
    """Lock the directory for this process. Raises Conflict if another stack uses it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    holder = (data_dir / "stack.pid").open("a+")
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder.seek(0)
        pid = holder.read().strip()
        holder.close()
        raise Conflict(
            f"{data_dir} is in use by another stack (process {pid})",
            next_step="stop that one, or name another directory with --data",
        ) from error
    holder.truncate(0)
    holder.write(str(os.getpid()))
    holder.flush()
    return holder
