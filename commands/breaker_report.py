"""Reports which workers' circuit breakers are open, for people; the breakers do not read it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

from signalbox.commands.state import Call, State

_KEY = "signalbox:breakers"
_PROBE_SECONDS = 10
"""Extra time for which an entry is shown: a probe after the rest takes a moment. Without commands
nothing probes the backend, and the entry expires."""

FailureDomain = tuple[str, str, str]
"""What fails together: backend type, config of the route as JSON, and the scope where each fails
by itself, else an empty text."""


class BreakerReport:
    """Reads and writes the report. All methods raise StateUnavailable."""

    def __init__(self, state: State) -> None:
        self._state = state

    def write(
        self, worker: str, opened: Mapping[FailureDomain, float], closed: Sequence[FailureDomain]
    ) -> None:
        """`opened` says for how many seconds each failure domain rests."""
        calls: list[Call] = []
        for failure_domain, rest in opened.items():
            until = time.time() + rest + _PROBE_SECONDS
            calls.append(("HSET", _KEY, json.dumps([worker, *failure_domain]), f"{until:.0f}"))
        calls += [
            ("HDEL", _KEY, json.dumps([worker, *failure_domain])) for failure_domain in closed
        ]
        self._state.run(calls)

    def read(self) -> list[tuple[str, str, str, str]]:
        """Return worker, backend type, config and scope (or an empty text) of each open breaker."""
        rows = self._state.call("HGETALL", _KEY)
        now = time.time()
        found = [json.loads(name) for name, until in rows.items() if float(until) > now]
        # A worker of the release before writes no scope.
        return sorted((*row, "")[:4] for row in found)
