"""With 10 to 100,000 open commands (1,000,000 in the full run) behind which nobody is at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil

from benchmarks.figure import Figure
from benchmarks.growth.flat import flat
from benchmarks.lane import cpu_of, puts
from benchmarks.ledger import trip
from benchmarks.part import Bench
from commands.ledger.entry import Intent
from commands.ledger.ledger import Ledger
from commands.settings import Settings
from commands.state import State, connect
from producers.embedded.redis_server import RedisServer

LEVELS, FULL_LEVELS = (10, 1_000, 10_000, 100_000), (1_000_000,)
TENANTS = 20
STEP, BATCH, TRIPS, ROUNDS = 500, 100, 30, 5
PAYLOAD_BYTES = 1024
INTENT_AIM = 4096
"""Bytes of Redis for an open command, beyond its payload of 1 KiB."""


def backlog_growth(bench: Bench) -> list[Figure]:
    """Processor time of submit, claim and finish (this process and Redis) of a tenant that has
    a backlog and of one that has none, and Redis' memory for an open command."""
    levels = LEVELS + (FULL_LEVELS if bench.full else ())
    rows: dict[int, list[float]] = {level: [] for level in levels}
    with ExitStack() as stack:
        # A Redis for each, so that they are measured in turns: what else the machine does is
        # shared by all.
        places = {level: stack.enter_context(_place(bench.data / str(level))) for level in levels}
        for level, place in places.items():
            each = place.open(level)
        used = place.memory()
        for _ in range(ROUNDS):
            for level, its in places.items():
                rows[level].append(its.micros())
        kept = (place.memory() - used) / (ROUNDS * TRIPS * BATCH)
    return [
        *flat("open commands", rows),
        Figure("Redis for an open command of 1 KiB", each, "bytes"),
        Figure("the same, beyond its payload", each - PAYLOAD_BYTES, "bytes", most=INTENT_AIM),
        Figure("Redis for a command that is done, while its outcome is kept", kept, "bytes"),
    ]


@dataclass(frozen=True)
class _Place:
    """A ledger on a Redis of its own."""

    server: RedisServer
    client: State
    book: Ledger

    def open(self, level: int) -> float:
        """Submit so many commands, tenants in turn; bytes that each takes in Redis."""
        empty = self.memory()
        for number, first in enumerate(range(0, level, STEP)):
            commands = puts(f"t_backlog_{number % TENANTS}", min(STEP, level - first))
            self.book.submit([Intent(command, "bench") for command in commands])
        return (self.memory() - empty) / level

    def memory(self) -> int:
        """Bytes that Redis uses."""
        return int(self.client.server().info("memory")["used_memory"])

    def micros(self) -> float:
        """Of processor time a command, for its way through the ledger."""
        both = [psutil.Process(), psutil.Process(self.server.pid)]
        before = cpu_of(both)
        for number in range(TRIPS):
            trip(self.book, BATCH, "t_backlog_0" if number % 2 else "t_bench")
        return (cpu_of(both) - before) / (TRIPS * BATCH) * 1e6


@contextmanager
def _place(data: Path) -> Iterator[_Place]:
    server = RedisServer(data)
    server.start()
    try:
        client = connect(server.url)
        settings = Settings(state_url=server.url, max_open=0, publish_grace=timedelta(hours=1))
        book = Ledger(client, settings)
        trip(book, BATCH)
        yield _Place(server, client, book)
    finally:
        server.stop()
