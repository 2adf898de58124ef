"""The ordinary way through the ledger, step by step: commands that stand in parcels."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import redis

from benchmarks.lane import ENV, puts
from benchmarks.steps import finishes_of, micros
from commands.ledger.entry import Claimed, Intent, Parcel
from commands.ledger.ledger import Ledger
from commands.ledger.parcels import Parcels
from commands.model import Command
from commands.settings import Settings
from commands.state import connect


class ParcelSteps:
    """A client and a worker on one ledger, without processes of theirs."""

    def __init__(self, url: str, tenant: str) -> None:
        grace = timedelta(hours=1)
        settings = Settings(state_url=url, max_open=0, tenant_window=0, publish_grace=grace)
        client = connect(url)
        ledger = Ledger(client, settings)
        self._parcels = Parcels(client, settings, ledger)
        self._redis: Any = redis.Redis.from_url(url)
        self._redis.config_set("auto-aof-rewrite-percentage", 0)
        self._tenant = tenant
        self._queue = f"bench-{tenant}"
        self._shard = ledger.shards.place(tenant, ENV)
        self._scope = f"object_store/{tenant}/{ENV}"

    def trip(self, size: int) -> tuple[float, float, float]:
        """Microseconds a command of accept, take (with the fence) and end of new commands."""
        commands = puts(self._tenant, size)
        token = uuid.uuid4().hex
        parcels: list[Parcel] = []
        claimed: list[Claimed] = []
        accepting = micros(lambda: self._accept(commands), size)
        taking = micros(lambda: self._take(token, size, parcels, claimed), size)
        finishes = finishes_of(commands, token)
        ending = micros(lambda: self._parcels.end(token, parcels, finishes), size)
        return accepting, taking, ending

    def kept(self, size: int, trips: int) -> tuple[float, float]:
        """Bytes a command: written to the append-only file from accept to end, and of memory while
        its outcome is kept."""
        written, memory = self._aof(), self._memory()
        for _ in range(trips):
            self.trip(size)
        commands = size * trips
        return (self._aof() - written) / commands, (self._memory() - memory) / commands

    def open(self, size: int, trips: int) -> float:
        """Bytes of memory for a command that is open; they stay so."""
        before = self._memory()
        for _ in range(trips):
            self._accept(puts(self._tenant, size))
        return (self._memory() - before) / (size * trips)

    def _take(self, token: str, size: int, parcels: list[Parcel], claimed: list[Claimed]) -> None:
        """As often as it takes: one gives a bounded number."""
        while len(claimed) < size:
            take = self._parcels.take(
                self._shard,
                self._queue,
                token=token,
                worker="bench",
                rung=False,
                scopes=[self._scope],
            )
            parcels += take.claims.parcels
            claimed += take.claims.claimed

    def _accept(self, commands: Sequence[Command]) -> None:
        self._parcels.accept([Intent(command, self._queue) for command in commands])

    def _aof(self) -> int:
        return int(self._redis.info("persistence")["aof_current_size"])

    def _memory(self) -> int:
        return int(self._redis.info("memory")["used_memory"])
