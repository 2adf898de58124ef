"""Detects other recently active tenants, whose presence makes each tenant's window smaller."""

from __future__ import annotations

import threading
import time
from collections.abc import Set as AbstractSet

LATELY = 1.0
"""Seconds for which a tenant counts as active after one of its commands ran."""


class TenantActivity:
    """The tenants whose commands this process ran lately. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}

    def beside(self, tenants: AbstractSet[str]) -> bool:
        """Record these tenants; return whether more than one tenant was active lately."""
        now = time.monotonic()
        with self._lock:
            self._seen.update(dict.fromkeys(tenants, now))
            for tenant in [name for name, at in self._seen.items() if now - at > LATELY]:
                del self._seen[tenant]
            return len(self._seen) > 1
