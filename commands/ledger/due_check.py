"""Finds the shards that may have due commands, without running a script on each of them.

Counting what is due costs a tenth of the script that finds it. The servers are asked for the
ledger's time now and then; in between, this machine's clock is used.

A server whose clock was set back returns an earlier time until one of the ledger's scripts has run
there and recorded the step (time.lua). If nothing else runs, that is the script that finds due
commands. So all shards are considered due at the first look, and whenever a server returns an
earlier time.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.ledger.script_reply import batched
from signalbox.commands.state import Call, State

EARLY_MS = 250
"""Margin (ms) by which a shard counts as due early, since the two clocks may drift apart."""
CLOCK_SECONDS = 10.0
"""Seconds after which the servers are asked for their time again."""
STEP_MS = 1000
"""A time that is earlier by more than this (ms) is not just a slow answer."""
SELDOM = ("pdue", "bell", "holds")
"""One of these keys is counted in each run of the reconciler. Leases and publish graces are much
longer than the time between two runs."""


@dataclass
class DueCheck:
    """Finds the shards with due commands for one reconciler. Raises StateUnavailable."""

    state: State
    held_ms: int
    """Time without a release after which a scope's held commands are looked at."""
    _ahead: dict[str, float] = field(default_factory=dict)
    """The ledger's time of each shard (ms), minus this machine's clock."""
    _asked: float = -math.inf
    _looks: int = 0

    def shards(self) -> list[str]:
        """Return the shards that may have due commands now."""
        tags = shards_of(self.state).tags
        now = time.monotonic()
        if now - self._asked >= CLOCK_SECONDS and self._ask(tags) > 0:
            self._asked = -math.inf  # what the scripts note counts from the next look on
            return list(tags)
        calls = [("ZCOUNT", f"{tag}:due", "-inf", self._now(tag)) for tag in tags]
        name = SELDOM[self._looks % len(SELDOM)]
        late = self.held_ms if name == "holds" else 0
        calls += [("ZCOUNT", f"{tag}:{name}", "-inf", self._now(tag) - late) for tag in tags]
        self._looks += 1
        counts = self.state.run(calls)
        return list(dict.fromkeys(tags[n % len(tags)] for n, count in enumerate(counts) if count))

    def _now(self, tag: str) -> int:
        return int(time.monotonic() * 1000 + self._ahead[tag]) + EARLY_MS

    def _ask(self, tags: tuple[str, ...]) -> int:
        """Return the number of shards whose time went back, or was not known."""
        calls: list[Call] = []
        for tag in tags:
            calls += [self.state.time_call(tag), ("HGET", f"{tag}:era", "ahead")]
        before = time.monotonic()
        times = batched(self.state.run(calls), 2)
        self._asked = before
        back = 0
        for tag, ((seconds, micros), noted) in zip(tags, times, strict=True):
            ledger_ms = int(seconds) * 1000 + int(micros) // 1000 + int(noted or 0)
            ahead = ledger_ms - before * 1000
            back += ahead < self._ahead.get(tag, math.inf) - STEP_MS
            self._ahead[tag] = ahead
        return back
