"""Eras of the ledger: how a worker notices lost entries, and how an operator accepts that."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.state import State

REBASE = Script("signalbox.commands.ledger", "era.lua", "rebase.lua")


@dataclass(frozen=True)
class Position:
    """The position of a shard when it answered; see era.lua."""

    epoch: str = ""
    era: str = ""
    clock: int = 0
    """Number of claims and ends so far."""


class Seen:
    """The latest position of each shard that this process has seen. Thread-safe; kept in memory
    only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._positions: dict[str, Position] = {}

    def of(self, shard: str) -> Position:
        """Return the position to send with a claim. Read it before sending: a later answer need not
        be contained in the claim's."""
        return self._positions.get(shard, Position())

    def claimed(self, shard: str, now: Position) -> None:
        with self._lock:
            known = self._positions.get(shard)
            if known is None or known.era != now.era or known.clock < now.clock:
                self._positions[shard] = now

    def finished(self, shard: str, era: str, clock: int) -> None:
        """Record a finish. In a later era than that of the last claim it is ignored, since the next
        claim says more."""
        with self._lock:
            known = self._positions.get(shard)
            if known is not None and known.era == era and known.clock < clock:
                self._positions[shard] = replace(known, clock=clock)


class LedgerEras:
    """The losses that are recorded in the ledger. Methods raise StateUnavailable."""

    def __init__(self, client: State) -> None:
        self._client = client

    def lost(self) -> dict[str, str]:
        """Return the shards on which nothing runs, with what a worker found missing."""
        shards = shards_of(self._client).tags
        calls = [("HGET", f"{shard}:era", "lost") for shard in shards]
        found = run_pipeline(self._client, calls, [])
        return {
            shard: reason.decode() for shard, reason in zip(shards, found, strict=True) if reason
        }

    def rebase(self, epoch: str) -> None:
        """Accept the ledger as it is; all open commands run as takeovers.

        `epoch` names the rebase; a later one is the greater string. A repeat with the same epoch
        changes nothing.
        """
        calls = [REBASE.call([shard], [epoch]) for shard in shards_of(self._client).tags]
        run_pipeline(self._client, calls, [REBASE], durable=True)
