"""Detects other recently active tenants, to shrink the window of each backlog."""

from __future__ import annotations

import threading
import time
from collections.abc import Set as AbstractSet

LATELY = 1.0
"""Seconds for which a tenant counts after a command of its was in hand."""


class TenantActivity:
    """The tenants of this process' last commands. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}

    def beside(self, tenants: AbstractSet[str]) -> bool:
        """Note these tenants, and say if commands of any others were in hand lately."""
        now = time.monotonic()
        with self._lock:
            self._seen.update(dict.fromkeys(tenants, now))
            for tenant in [name for name, at in self._seen.items() if now - at > LATELY]:
                del self._seen[tenant]
            return len(self._seen) > 1
