"""Who wants to be told of which outcome: asked of the ledger for all of them together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.row import batched
from signalbox.commands.outcome import Outcome
from signalbox.commands.ref import Ref

LOOK_SECONDS = 2.0
"""An announcement can be missed (a reconnect, another asker); so soon the ledger is asked without
one, then after as long again as was waited, at most LONGEST_LOOK."""
LONGEST_LOOK = 16.0
MAX_LOOK = 500
"""Outcomes asked for in one round trip."""

Told = Callable[[Outcome | None], None]
"""Takes the outcome, on another thread, or None if none will be told any more."""


@dataclass
class _Wanted:
    since: float
    look_at: float
    told: list[Told] = field(default_factory=list)


class OutcomeWatch:
    """Tells of outcomes as they are announced. Thread-safe; `told` must not block."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._wanted: dict[str, _Wanted] = {}
        self._look_at = 0.0
        self._closed = False

    def __len__(self) -> int:
        """Commands of which someone wants to be told."""
        return len(self._wanted)

    def want(self, ref: Ref, told: Told) -> None:
        """Tell this one once of the command's outcome. What had its outcome before is told only
        with the next look: so want it before it is submitted, or ask the ledger behind this."""
        with self._lock:
            closed = self._closed
            if not closed:
                now = time.monotonic()
                wanted = self._wanted.setdefault(ref, _Wanted(now, now + LOOK_SECONDS))
                wanted.told.append(told)
        if closed:
            told(None)

    def forget(self, ref: Ref, told: Told) -> None:
        """Nobody waits there any more. Nothing happens if it was told."""
        with self._lock:
            wanted = self._wanted.get(ref)
            if wanted is not None and told in wanted.told:
                wanted.told.remove(told)
                if not wanted.told:
                    del self._wanted[ref]

    def hear(self, outcomes: Iterable[Outcome], refs: Iterable[Ref]) -> None:
        """These were announced, some by their refs alone. Raises StateUnavailable."""
        for outcome in outcomes:
            self._tell(outcome.ref, outcome)
        self._look([ref for ref in refs if ref in self._wanted])

    def look(self, *, everywhere: bool = False) -> None:
        """Ask for those that were not announced for long, or for all. Raises StateUnavailable."""
        now = time.monotonic()
        if now < self._look_at and not everywhere:
            return
        self._look_at = now + LOOK_SECONDS / 2  # each look goes through all that is wanted
        with self._lock:
            due = [r for r, wanted in self._wanted.items() if everywhere or wanted.look_at <= now]
            for ref in due:
                wanted = self._wanted[ref]
                waited = max(LOOK_SECONDS, min(LONGEST_LOOK, now - wanted.since))
                wanted.look_at = now + waited
        self._look(due)

    def close(self) -> None:
        """Tell everyone that nothing more will be told."""
        with self._lock:
            self._closed = True
            left, self._wanted = self._wanted, {}
        for wanted in left.values():
            for told in wanted.told:
                told(None)

    def _look(self, refs: list[Ref]) -> None:
        for names in batched(refs, MAX_LOOK):
            for ref, outcome in zip(names, self._ledger.outcomes(names), strict=True):
                if outcome is not None:
                    self._tell(ref, outcome)

    def _tell(self, ref: Ref, outcome: Outcome) -> None:
        with self._lock:
            wanted = self._wanted.pop(ref, None)
        for told in wanted.told if wanted else ():
            told(outcome)
