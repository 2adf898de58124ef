"""Which workers have found which backends down: for people, not for the breakers themselves."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import redis

from commands.state import state_errors

_KEY = "signalbox:breakers"
_FRESH_SECONDS = 120
"""A report is renewed with each failed probe; an older one is of a worker that is gone."""

Place = tuple[str, str]
"""Backend type, and config of the route as JSON."""


class BreakerReport:
    """Reads and writes the report. Methods raise StateUnavailable."""

    def __init__(self, state: redis.Redis) -> None:
        self._state = state

    def write(self, worker: str, opened: Sequence[Place], closed: Sequence[Place]) -> None:
        with state_errors(), self._state.pipeline(transaction=False) as pipeline:
            for place in opened:
                pipeline.hset(_KEY, json.dumps([worker, *place]), f"{time.time():.0f}")
            for place in closed:
                pipeline.hdel(_KEY, json.dumps([worker, *place]))
            pipeline.execute()

    def read(self) -> list[tuple[str, str, str]]:
        """Worker, backend type and config of each breaker that is open."""
        with state_errors():
            rows = self._state.hgetall(_KEY)
        oldest = time.time() - _FRESH_SECONDS
        found = [json.loads(name) for name, at in rows.items() if float(at) > oldest]
        return sorted((worker, backend_type, config) for worker, backend_type, config in found)
