"""Which shards may have something due: a cheap look at all, in place of a script for each.

To count what is due costs a tenth of the script that finds it. The servers are asked for the
ledger's time now and then, and this machine's clock goes on from there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from commands.ledger.layout import shards_of
from commands.ledger.row import batched
from commands.state import Call, State

EARLY_MS = 250
"""So much earlier a shard counts as due: its server's clock and this one may drift apart."""
CLOCK_SECONDS = 10.0
"""So often the servers are asked for their time."""
SELDOM = ("pdue", "bell", "holds")
"""Of these one is looked at in each turn: leases and publish graces are long beside a turn."""


@dataclass
class DueLook:
    """The looks of one reconciler. Raises StateUnavailable."""

    state: State
    held_ms: int
    """So long nobody let a scope's held commands go before they are looked at."""
    _ahead: dict[str, float] = field(default_factory=dict)
    """The ledger's time of each shard (ms) less this machine's clock."""
    _asked: float = 0.0
    _looks: int = 0

    def shards(self) -> list[str]:
        """Those that may have something due now."""
        tags = shards_of(self.state).tags
        now = time.monotonic()
        if not self._ahead or now - self._asked >= CLOCK_SECONDS:
            self._ask(tags)
        calls = [("ZCOUNT", f"{tag}:due", "-inf", self._now(tag)) for tag in tags]
        name = SELDOM[self._looks % len(SELDOM)]
        late = self.held_ms if name == "holds" else 0
        calls += [("ZCOUNT", f"{tag}:{name}", "-inf", self._now(tag) - late) for tag in tags]
        self._looks += 1
        counts = self.state.run(calls)
        return list(dict.fromkeys(tags[n % len(tags)] for n, count in enumerate(counts) if count))

    def _now(self, tag: str) -> int:
        return int(time.monotonic() * 1000 + self._ahead[tag]) + EARLY_MS

    def _ask(self, tags: tuple[str, ...]) -> None:
        calls: list[Call] = []
        for tag in tags:
            calls += [self.state.time_call(tag), ("HGET", f"{tag}:era", "ahead")]
        before = time.monotonic()
        times = batched(self.state.run(calls), 2)
        self._asked = before
        for tag, ((seconds, micros), ahead) in zip(tags, times, strict=True):
            ledger_ms = int(seconds) * 1000 + int(micros) // 1000 + int(ahead or 0)
            self._ahead[tag] = ledger_ms - before * 1000
