"""Heartbeats of workers in the state Redis, which expire after a few seconds."""

from __future__ import annotations

from signalbox.commands.state import State

BEAT_SECONDS = 3.0
"""Seconds between two heartbeats of a worker."""
KEPT_MS = 15_000
"""Milliseconds after which a worker without a heartbeat counts as dead or stuck."""
_NAMES = "signalbox:pulses"


class Heartbeats:
    """Writes and reads heartbeats. All methods raise StateUnavailable."""

    def __init__(self, state: State) -> None:
        self._state = state

    def beat(self, worker: str) -> None:
        """Record that this worker can take a command now."""
        now = self._now()
        old = ("ZREMRANGEBYSCORE", _NAMES, "-inf", now - 100 * KEPT_MS)
        self._state.run([("ZADD", _NAMES, now, worker), old])

    def stop(self, worker: str) -> None:
        """Record that this worker takes no more commands."""
        self._state.call("ZREM", _NAMES, worker)

    def beating(self) -> list[str]:
        """Return the names of workers with a recent heartbeat, sorted."""
        names = self._state.call("ZRANGEBYSCORE", _NAMES, self._now() - KEPT_MS, "+inf")
        return sorted(name.decode() for name in names)

    def _now(self) -> int:
        """Return milliseconds by the state Redis' clock: machines need not agree on the time."""
        [(seconds, micros)] = self._state.run([self._state.time_call(_NAMES)])
        return int(seconds) * 1000 + int(micros) // 1000
