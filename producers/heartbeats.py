"""Signs of life of workers, kept in the state Redis for a few seconds at a time."""

from __future__ import annotations

from signalbox.commands.state import State

BEAT_SECONDS = 3.0
KEPT_MS = 15_000
"""A worker that gave no sign for so long is taken for dead or stuck."""
_NAMES = "signalbox:pulses"


class Pulses:
    """Gives and reads signs of life. Methods raise StateUnavailable."""

    def __init__(self, state: State) -> None:
        self._state = state

    def beat(self, worker: str) -> None:
        """Say that this worker can take a command now."""
        now = self._now()
        old = ("ZREMRANGEBYSCORE", _NAMES, "-inf", now - 100 * KEPT_MS)
        self._state.run([("ZADD", _NAMES, now, worker), old])

    def stop(self, worker: str) -> None:
        """Say that this worker takes none any more."""
        self._state.call("ZREM", _NAMES, worker)

    def beating(self) -> list[str]:
        """Workers that gave a sign lately, by name."""
        names = self._state.call("ZRANGEBYSCORE", _NAMES, self._now() - KEPT_MS, "+inf")
        return sorted(name.decode() for name in names)

    def _now(self) -> int:
        """By the state Redis' clock, milliseconds: machines need not agree on the time."""
        [(seconds, micros)] = self._state.run([self._state.time_call(_NAMES)])
        return int(seconds) * 1000 + int(micros) // 1000
