"""With 10 to 100,000 open commands (1,000,000 in the full run) that nobody works off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figure import Figure
from benchmarks.growth.flat import flat
from benchmarks.memory import memory_of
from benchmarks.parcel_steps import ParcelSteps
from benchmarks.part import Bench
from benchmarks.testbed import cpu_of
from signalbox.commands.ledger.parcels import MAX_TAKE
from signalbox.commands.state import State, connect
from signalbox.producers.embedded.redis_server import RedisServer

LEVELS, FULL_LEVELS = (10, 1_000, 10_000, 100_000), (1_000_000,)
TENANTS = 20
BATCH, TURNS, ROUNDS = 100, 10, 5
TOLD_FROM = 10_000
"""Of fewer open commands the memory of each says little."""
OPEN_AIM = 1.6 * 1024


def backlog_growth(bench: Bench) -> list[Figure]:
    """Processor time of accept, take and end (this process and Redis) of a tenant that has
    a backlog and of one that has none, and Redis' memory for an open command."""
    levels = LEVELS + (FULL_LEVELS if bench.full else ())
    rows: dict[int, list[float]] = {level: [] for level in levels}
    with ExitStack() as stack:
        # A Redis for each, so that they are measured in turns: what else the machine does is
        # shared by all.
        ledgers = {
            level: stack.enter_context(_measured_ledger(bench.data / str(level)))
            for level in levels
        }
        each = {level: ledger.open(level) for level, ledger in ledgers.items()}
        ledger = ledgers[max(LEVELS)]
        used = ledger.memory()
        for _ in range(ROUNDS):
            for level, its in ledgers.items():
                rows[level].append(its.micros())
        kept = (ledger.memory() - used) / (ROUNDS * TURNS * MAX_TAKE)
    memory = [
        Figure(f"Redis for an open command of 1 KiB, of {level:,}", its, "bytes", most=OPEN_AIM)
        for level, its in each.items()
        if level >= TOLD_FROM
    ]
    done = Figure("Redis for a command that is done, while its outcome is kept", kept, "bytes")
    return [*flat("open commands", rows), *memory, done]


@dataclass(frozen=True)
class _MeasuredLedger:
    """A ledger on a Redis of its own."""

    server: RedisServer
    client: State
    idle: ParcelSteps
    """A tenant without a backlog."""
    busy: list[ParcelSteps]

    def open(self, level: int) -> float:
        """Submit so many commands, 100 a parcel, tenants in turn; bytes that each takes in
        Redis."""
        empty = self.memory()
        for number, first in enumerate(range(0, level, BATCH)):
            self.busy[number % TENANTS].accept(min(BATCH, level - first))
        return (self.memory() - empty) / level

    def memory(self) -> int:
        return memory_of(self.client.server())

    def micros(self) -> float:
        """Of processor time a command, for its way through the ledger. Of a tenant with a backlog
        the oldest are taken, so its backlog stays as it is."""
        both = [psutil.Process(), psutil.Process(self.server.pid)]
        before, taken = cpu_of(both), 0
        for number in range(TURNS):
            taken += (self.busy[0] if number % 2 else self.idle).turn(BATCH)
        return (cpu_of(both) - before) / taken * 1e6


@contextmanager
def _measured_ledger(data: Path) -> Iterator[_MeasuredLedger]:
    server = RedisServer(data)
    server.start()
    try:
        client = connect(server.url)
        idle = ParcelSteps(client, "t_bench")
        idle.turn(BATCH)  # what is kept once for all
        busy = [ParcelSteps(client, f"t_backlog_{number}") for number in range(TENANTS)]
        yield _MeasuredLedger(server, client, idle, busy)
    finally:
        server.stop()
