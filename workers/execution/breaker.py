"""The circuit breaker of one failure domain: when it opens, probes and closes.

It opens after `FAILURES` consecutive commands that found the backend unavailable, or while
`MAX_HANGING` messages have had no answer for `HANGING_SECONDS`. When the rest is over, one command
runs as a probe: it closes the breaker, or opens it for twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FAILURES = 3
"""Consecutive unavailable answers that open a breaker."""
FIRST_REST = 1.0
"""Seconds that a breaker stays open at first."""
LONGEST_REST = 30.0
"""Maximum seconds that a breaker stays open before the next probe."""
MAX_HANGING = 2
"""Number of hanging messages that open a breaker."""
HANGING_SECONDS = 5.0
"""Seconds without an answer after which a message's commands hang, if they move little content."""


@dataclass
class RunningGroup:
    """The commands of one message in one failure domain, while they run."""

    heard: float
    """When they began, or when the backend last answered; seconds of the monotonic clock."""
    allowed_silence: float
    """Seconds without an answer after which they count as hanging; longer for large content."""
    probe: bool
    """Whether this is the one command that finds out if the backend is back."""

    def silence(self, now: float) -> float:
        """Return the seconds since the last answer if they exceed `allowed_silence`, else 0."""
        silence = now - self.heard
        return silence if silence > self.allowed_silence else 0.0


@dataclass
class Breaker:
    """The breaker of one failure domain. Not thread-safe."""

    max_failures: int
    failures: int = 0
    rest: float = FIRST_REST
    open_until: float = 0.0
    is_open: bool = False
    is_reported: bool = False
    probing: bool = False
    running: list[RunningGroup] = field(default_factory=list)

    def wait(self, now: float) -> float | None:
        """Return the seconds until commands may run.

        None if they may now, or one may if it is open.
        """
        if self.is_open and now < self.open_until:
            return self.open_until - now
        silences = [silence for group in self.running if (silence := group.silence(now))]
        if len(silences) >= MAX_HANGING:
            # The longer the backend hangs, the less often its commands are looked at: each look
            # takes time from commands of healthy backends.
            return min(LONGEST_REST, max(silences))
        return None

    def probe(self, now: float) -> None:
        """Begin a probe: one command runs, and the others wait for its result."""
        self.open_until = now + self.rest
        self.probing = True

    def failed(self, now: float, commands: int) -> None:
        """Record a failed call of so many commands, which may open the breaker."""
        self.failures += commands
        if self.is_open and self.probing:
            self.rest = min(LONGEST_REST, 2 * self.rest)
            self.probing = False
        elif self.failures < self.max_failures:
            return
        self.is_open = True
        self.open_until = now + self.rest

    def worked(self) -> None:
        """Record a call that reached the backend, which closes the breaker."""
        self.failures, self.rest, self.is_open, self.probing = 0, FIRST_REST, False, False
