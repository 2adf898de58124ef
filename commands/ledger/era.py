"""Eras of the ledger: how a worker notices that it lost something, and how it is declared right."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.state import State

REBASE = Script("signalbox.commands.ledger", "era.lua", "rebase.lua")


@dataclass(frozen=True)
class Position:
    """How far a shard was when it answered; see era.lua."""

    epoch: str = ""
    era: str = ""
    clock: int = 0
    """Claims and ends so far."""


class Seen:
    """How far this process has seen each shard. Thread-safe; forgotten with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._positions: dict[str, Position] = {}

    def of(self, shard: str) -> Position:
        """To be asked before a claim is sent: what was answered later need not be in its answer."""
        return self._positions.get(shard, Position())

    def claimed(self, shard: str, now: Position) -> None:
        with self._lock:
            known = self._positions.get(shard)
            if known is None or known.era != now.era or known.clock < now.clock:
                self._positions[shard] = now

    def finished(self, shard: str, era: str, clock: int) -> None:
        """In a later era than that of the last claim it says nothing: the next claim tells more."""
        with self._lock:
            known = self._positions.get(shard)
            if known is not None and known.era == era and known.clock < clock:
                self._positions[shard] = replace(known, clock=clock)


class LedgerEras:
    """What the ledger is known to have lost. Methods raise StateUnavailable."""

    def __init__(self, client: State) -> None:
        self._client = client

    def lost(self) -> dict[str, str]:
        """Shards on which nothing runs, with what a worker found missing."""
        shards = shards_of(self._client).tags
        calls = [("HGET", f"{shard}:era", "lost") for shard in shards]
        found = run_pipeline(self._client, calls, [])
        return {
            shard: reason.decode() for shard, reason in zip(shards, found, strict=True) if reason
        }

    def rebase(self, epoch: str) -> None:
        """Declare what the ledger says now to be right; all that is open runs as a takeover.

        `epoch` names the declaration: of two, the later one is the greater. A repeat with the
        same one changes nothing.
        """
        calls = [REBASE.call([shard], [epoch]) for shard in shards_of(self._client).tags]
        run_pipeline(self._client, calls, [REBASE], durable=True)
