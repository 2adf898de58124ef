"""The ordinary way through the ledger, step by step: commands that stand in parcels."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from benchmarks.memory import memory_of
from benchmarks.steps import finishes_of, micros
from benchmarks.testbed import ENV, puts
from signalbox.commands.ledger.entry import Claims, Finish, Intent
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import MAX_TAKE, Parcels
from signalbox.commands.model import Command
from signalbox.commands.settings import Settings
from signalbox.commands.state import State


class ParcelSteps:
    """A client and a worker on one ledger, without processes of theirs."""

    def __init__(self, client: State, tenant: str) -> None:
        grace = timedelta(hours=1)
        settings = Settings(max_open=0, tenant_window=0, publish_grace=grace)
        ledger = Ledger(client, settings)
        self._parcels = Parcels(client, settings, ledger)
        self._tenant = tenant
        self._queue = f"bench-{tenant}"
        self._shard = ledger.shards.shard(tenant, ENV)
        self._redis: Any = client.server(self._shard)
        self._scope = f"object_store/{tenant}/{ENV}"

    def trip(self, size: int) -> tuple[float, float, float]:
        """Microseconds a command of accept, take (with the fence) and end of new commands."""
        commands = puts(self._tenant, size)
        takes: list[Claims] = []
        accepting = micros(lambda: self._accept(commands), size)
        taking = micros(lambda: takes.extend(self._takes(size)), size)
        ends = [(its, finishes_of([c.command for c in its.claimed], _token(its))) for its in takes]
        ending = micros(lambda: self._end(ends), size)
        return accepting, taking, ending

    def turn(self, size: int) -> int:
        """Have as many accepted as one take gives, so many a call, and the oldest as many taken and
        ended; how many these were."""
        for _ in range(MAX_TAKE // size):
            self.accept(size)
        [claims] = self._takes(1)
        self._end([(claims, finishes_of([c.command for c in claims.claimed], _token(claims)))])
        return len(claims.claimed)

    def kept(self, size: int, trips: int) -> tuple[float, float]:
        """Bytes a command: written to the append-only file from accept to end, and of memory while
        its outcome is kept."""
        self._redis.config_set("auto-aof-rewrite-percentage", 0)
        written, memory = self._aof(), self._memory()
        for _ in range(trips):
            self.trip(size)
        written_now = self._aof()
        # What a take leaves behind is there for as long as its lease, and not for the retention.
        for key in self._redis.scan_iter(match=f"{self._shard}:took:*", count=1000):
            self._redis.delete(key)
        commands = size * trips
        return (written_now - written) / commands, (self._memory() - memory) / commands

    def open(self, size: int, trips: int) -> float:
        """Bytes of memory for a command that is open; they stay so."""
        before = self._memory()
        for _ in range(trips):
            self.accept(size)
        return (self._memory() - before) / (size * trips)

    def accept(self, size: int) -> None:
        """Have so many more open."""
        self._accept(puts(self._tenant, size))

    def _takes(self, size: int) -> list[Claims]:
        """So many at least, as often as it takes: one gives a bounded number. Each has a token of
        its own, since under the same one it would give the same parcels again."""
        takes: list[Claims] = []
        while sum(len(its.claimed) for its in takes) < size:
            take = self._parcels.take(
                [self._shard],
                self._queue,
                token=uuid.uuid4().hex,
                worker="bench",
                rung=False,
                scopes=[self._scope],
            )
            takes.append(take.claims)
        return takes

    def _end(self, ends: Sequence[tuple[Claims, Sequence[Finish]]]) -> None:
        for claims, finishes in ends:
            self._parcels.end(_token(claims), claims.parcels, finishes)

    def _accept(self, commands: Sequence[Command]) -> None:
        self._parcels.accept([Intent(command, self._queue) for command in commands])

    def _aof(self) -> int:
        return int(self._redis.info("persistence")["aof_current_size"])

    def _memory(self) -> int:
        return memory_of(self._redis)


def _token(claims: Claims) -> str:
    return claims.claimed[0].token
