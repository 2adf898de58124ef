"""What every queue in the comparison must be able to do, and the plain ones that are compared."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import psutil

from benchmarks.queues.address import VARIABLE
from benchmarks.queues.effect import count
from producers.embedded.process import ManagedProcess
from producers.embedded.redis_server import RedisServer

DATA = "x" * 1024
WORKERS = 2
"""Worker processes of each queue, one a core."""


class Contender(Protocol):
    """A queue with running workers."""

    size: int
    """Commands in one call of `send`."""

    def begin(self, round_name: str) -> None:
        """Put what is sent from now on where nothing is yet."""

    def send(self, names: Sequence[str]) -> None:
        """Enqueue one put for each name; safe to call from several threads."""

    def effects(self) -> int:
        """Puts that are durable, since `begin`."""

    def moments(self) -> dict[str, int]:
        """When each put was durable, in nanoseconds of the wall clock, by its name."""

    def processes(self) -> list[psutil.Process]:
        """The workers, without their children."""


@dataclass(frozen=True)
class Library:
    """A queue that runs a task of ours in workers that its own command starts."""

    module: str
    worker: Sequence[str]
    """Arguments for the worker's command; `{url}` is the Redis."""


_BIN = Path(sys.executable).parent
_HERE = "benchmarks.queues"
LIBRARIES = {
    "celery": Library(
        "celery_task",
        f"celery -A {_HERE}.celery_task worker -c {WORKERS} -P prefork -l WARNING".split(),
    ),
    "dramatiq": Library(
        "dramatiq_task", f"dramatiq {_HERE}.dramatiq_task --processes {WORKERS}".split()
    ),
    "huey": Library(
        "huey_task", f"huey_consumer {_HERE}.huey_task.huey -q -w {WORKERS} -k process".split()
    ),
    "taskiq": Library(
        "taskiq_task",
        f"taskiq worker {_HERE}.taskiq_task:broker --workers {WORKERS} "
        "--ack-type when_executed --log-level WARNING".split(),
    ),
    "rq": Library("rq_task", f"rq worker-pool bench-rq -n {WORKERS} -q -u {{url}}".split()),
}


class Plain:
    """A library's queue; see `Contender`."""

    size = 1

    def __init__(self, send: Callable[[str, str, str], None], data: Path, pid: int) -> None:
        self._send = send
        self._data = data
        self._folder = data
        self._pid = pid

    def begin(self, round_name: str) -> None:
        self._folder = self._data / round_name
        self._folder.mkdir(parents=True)

    def send(self, names: Sequence[str]) -> None:
        for name in names:
            self._send(str(self._folder), name, DATA)

    def effects(self) -> int:
        return count(self._folder)

    def moments(self) -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in self._folder.iterdir()}

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(self._pid)]


@contextmanager
def library(name: str, data: Path, redis: RedisServer) -> Iterator[Plain]:
    """Start the library's workers; they end with the block. Raises Unavailable."""
    its = LIBRARIES[name]
    os.environ[VARIABLE] = redis.url
    program, *arguments = [part.format(url=redis.url) for part in its.worker]
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root}
    worker = ManagedProcess(
        name, [str(_BIN / program), *arguments], data / f"{name}.log", environment
    )
    with ExitStack() as ending:
        worker.start()
        ending.callback(worker.stop, timedelta(seconds=5))
        module = importlib.import_module(f"{_HERE}.{its.module}")
        contender = Plain(module.send, data / "stored", worker.pid)
        contender.begin("ready")
        contender.send(["ready"])
        # Its first effect says that it consumes.
        worker.wait_until(lambda: contender.effects() == 1, timedelta(seconds=30))
        yield contender
