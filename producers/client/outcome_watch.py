"""Callbacks for outcomes: the ledger is asked for all watched commands together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.script_reply import batched
from signalbox.commands.outcome import Outcome
from signalbox.commands.ref import Ref

LOOK_SECONDS = 2.0
"""Seconds after which the ledger is asked without an announcement, which can be missed (a
reconnect, another client's command). The next pause is as long as the whole wait so far, at most
LONGEST_LOOK."""
LONGEST_LOOK = 16.0
"""Maximum seconds between two such looks."""
MAX_LOOK = 500
"""Outcomes read in one round trip."""

OnOutcome = Callable[[Outcome | None], None]
"""Takes the outcome, on another thread; None if none will be reported any more."""


@dataclass
class _Watched:
    since: float
    look_at: float
    callbacks: list[OnOutcome] = field(default_factory=list)


class OutcomeWatch:
    """Reports outcomes when they are announced. Thread-safe; `on_outcome` must not block."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._watched: dict[str, _Watched] = {}
        self._look_at = 0.0
        self._closed = False

    def __len__(self) -> int:
        """Return the number of commands that are watched."""
        return len(self._watched)

    def watch(self, ref: Ref, on_outcome: OnOutcome) -> None:
        """Call `on_outcome` once, with the command's outcome.

        An outcome from before the call is reported only with the next look at the ledger, so call
        this before the command is submitted, or ask the ledger afterwards.
        """
        with self._lock:
            closed = self._closed
            if not closed:
                now = time.monotonic()
                watched = self._watched.setdefault(ref, _Watched(now, now + LOOK_SECONDS))
                watched.callbacks.append(on_outcome)
        if closed:
            on_outcome(None)

    def forget(self, ref: Ref, on_outcome: OnOutcome) -> None:
        """Cancel a `watch`; does nothing if it was reported."""
        with self._lock:
            watched = self._watched.get(ref)
            if watched is not None and on_outcome in watched.callbacks:
                watched.callbacks.remove(on_outcome)
                if not watched.callbacks:
                    del self._watched[ref]

    def hear(self, outcomes: Iterable[Outcome], refs: Iterable[Ref]) -> None:
        """Process an announcement: outcomes, and refs whose outcomes are read.

        Raises StateUnavailable.
        """
        for outcome in outcomes:
            self._tell(outcome.ref, outcome)
        self._look([ref for ref in refs if ref in self._watched])

    def look(self, *, everywhere: bool = False) -> None:
        """Read outcomes that were not announced for long, or all. Raises StateUnavailable."""
        now = time.monotonic()
        if now < self._look_at and not everywhere:
            return
        self._look_at = now + LOOK_SECONDS / 2  # each look goes through all watched commands
        with self._lock:
            due = [
                r for r, watched in self._watched.items() if everywhere or watched.look_at <= now
            ]
            for ref in due:
                watched = self._watched[ref]
                waited = max(LOOK_SECONDS, min(LONGEST_LOOK, now - watched.since))
                watched.look_at = now + waited
        self._look(due)

    def close(self) -> None:
        """Report None to all callers."""
        with self._lock:
            self._closed = True
            left, self._watched = self._watched, {}
        for watched in left.values():
            for on_outcome in watched.callbacks:
                on_outcome(None)

    def _look(self, refs: list[Ref]) -> None:
        for names in batched(refs, MAX_LOOK):
            for ref, outcome in zip(names, self._ledger.outcomes(names), strict=True):
                if outcome is not None:
                    self._tell(ref, outcome)

    def _tell(self, ref: Ref, outcome: Outcome) -> None:
        with self._lock:
            watched = self._watched.pop(ref, None)
        for on_outcome in watched.callbacks if watched else ():
            on_outcome(outcome)
