"""Workers, a Redis and a client of a benchmark, and the processor time that all of them take."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks.routes import by
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from signalbox.producers.client.submission import Submission
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.stack import EmbeddedStack
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget

TIMEOUT = timedelta(minutes=5)
AHEAD = 400
"""Commands on their way at most."""
PAYLOAD = InlinePayload(data=b"x" * 1024)
ENV = "dev"
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Spent:
    """Seconds of processor time, by process, and bytes that Redis wrote to its disk."""

    client: float
    workers: float
    redis: float
    written: float
    """Zero where the system does not tell it."""

    @property
    def cpu(self) -> float:
        return self.client + self.workers + self.redis

    def since(self, earlier: Spent) -> Spent:
        return Spent(
            self.client - earlier.client,
            self.workers - earlier.workers,
            self.redis - earlier.redis,
            self.written - earlier.written,
        )


@dataclass(frozen=True)
class Cost:
    """What some commands took; `wall` in seconds."""

    commands: int
    wall: float
    spent: Spent

    @property
    def rate(self) -> float:
        """Commands a second."""
        return self.commands / self.wall

    @property
    def micros(self) -> float:
        """Microseconds of processor time a command, of all processes together."""
        return self.each(self.spent.cpu) * 1e6

    def each(self, spent: float) -> float:
        """The part of one command."""
        return spent / self.commands


@dataclass(frozen=True)
class Testbed:
    """What a benchmark talks to."""

    data: Path
    stack: EmbeddedStack
    redis: RedisServer
    settings: Settings
    client: Client

    @property
    def registry(self) -> Registry:
        return Registry(connect(self.settings.state_url))

    def route(self, tenant: str, kind: ResourceKind = ResourceKind.OBJECT_STORE) -> None:
        """Send this tenant's commands to the embedded backend."""
        scope = Scope(kind=kind, tenant_id=tenant, env=ENV)
        config: RouteConfig = {"base_dir": str(self.data / "stored")}
        self.registry.set(scope, RouteTarget("filesystem", config, Mode.LAB), by())

    def run(self, batches: Iterable[Sequence[Command]], ahead: int = AHEAD) -> int:
        """Submit each batch, with so many commands on their way; how many were done.

        Raises RuntimeError if one was not.
        """
        done, pending = 0, list[Submission]()
        for batch in batches:
            pending += self.client.submit_many(batch)
            if len(pending) >= ahead:
                # Of half of them at once, so that to ask costs little and work is left meanwhile.
                half = len(pending) // 2
                done += self.settle(pending[:half])
                del pending[:half]
        return done + self.settle(pending)

    def cost(self, batches: Iterable[Sequence[Command]], ahead: int = AHEAD) -> Cost:
        """What it takes to run them, from submit to outcome."""
        before, started = self.spent(), time.perf_counter()
        commands = self.run(batches, ahead)
        wall = time.perf_counter() - started
        return Cost(commands, wall, self.spent().since(before))

    def spent(self) -> Spent:
        """All that was spent so far."""
        workers = [psutil.Process(worker.pid) for worker in self.stack.workers if worker.running]
        workers += [child for worker in workers for child in worker.children(recursive=True)]
        redis = psutil.Process(self.redis.pid)
        written = redis.io_counters().write_bytes if psutil.LINUX else 0
        return Spent(
            time.process_time(),
            cpu_of(workers),
            cpu_of([redis]),
            float(written),
        )

    def settle(self, submissions: list[Submission]) -> int:
        """Wait until these are done; how many they are. Raises RuntimeError if one was not."""
        for outcome in self.client.wait(submissions, TIMEOUT):
            if outcome is None or outcome.error is not None:
                raise RuntimeError(f"a command was not done: {outcome and outcome.error}")
        return len(submissions)


def cpu_of(processes: Iterable[psutil.Process]) -> float:
    """Seconds of processor time of these."""
    times = [process.cpu_times() for process in processes]
    return float(sum(each.user + each.system for each in times))


@contextmanager
def open_testbed(
    data: Path, workers: int = 2, redis: RedisServer | None = None, **settings: Any
) -> Iterator[Testbed]:
    """A Redis (unless one is given) and so many workers below `data`.

    `settings` are the client's, beside the addresses.
    """
    own = redis is None
    server = redis or RedisServer(data / "redis")
    if own:
        server.start()
    try:
        with EmbeddedStack(
            data,
            workers=workers,
            flower=False,
            state_url=server.url,
            broker_url=server.url,
        ) as stack:
            its = Settings(
                state_url=server.url,
                broker_url=server.url,
                payload_dir=data / "payloads",
                **settings,
            )
            with Client(its) as client:
                yield Testbed(data, stack, server, its, client)
    finally:
        if own:
            server.stop()


def puts(tenant: str, size: int) -> list[PutObject]:
    """New 1 KiB puts, each under a key of its own."""
    return [
        PutObject(tenant_id=tenant, env=ENV, key=f"k{next(_NUMBERS):09}", payload=PAYLOAD)
        for _ in range(size)
    ]


def for_seconds(tenant: str, size: int, seconds: float) -> Iterator[list[PutObject]]:
    """Batches of so many puts, until the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield puts(tenant, size)
