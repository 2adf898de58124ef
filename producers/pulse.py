"""Signs of life of workers, kept in the state Redis for a few seconds at a time."""

from __future__ import annotations

from typing import Any

import redis

from commands.state import state_errors

BEAT_SECONDS = 3.0
KEPT_MS = 15_000
"""A worker that gave no sign for so long is taken for dead or stuck."""
_NAMES = "signalbox:pulses"


class Pulses:
    """Gives and reads signs of life. Methods raise StateUnavailable."""

    def __init__(self, state: redis.Redis) -> None:
        self._state = state

    def beat(self, worker: str) -> None:
        """Say that this worker can take a command now."""
        with state_errors():
            now = self._now()
            self._state.zadd(_NAMES, {worker: now})
            self._state.zremrangebyscore(_NAMES, "-inf", now - 100 * KEPT_MS)

    def stop(self, worker: str) -> None:
        """Say that this worker takes none any more."""
        with state_errors():
            self._state.zrem(_NAMES, worker)

    def beating(self) -> list[str]:
        """Workers that gave a sign lately, by name."""
        with state_errors():
            names: Any = self._state.zrangebyscore(_NAMES, self._now() - KEPT_MS, "+inf")
        return sorted(name.decode() for name in names)

    def _now(self) -> int:
        """By the state Redis' clock, milliseconds: machines need not agree on the time."""
        seconds, micros = self._state.time()
        return int(seconds) * 1000 + int(micros) // 1000
