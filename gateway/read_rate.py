"""Rates of tenants for reads in the gateway, which are counted in this process alone.

A read runs if the tenant's bucket in the ledger has a token, no command of its kind waits for the
rate there, and this process has not used up the rate by reads. A tenant that uses up its rate by
commands can therefore not read, while one that reads at its full rate can still use the rate for
commands, and for reads in other processes.
"""

from __future__ import annotations

import threading
import time

from signalbox.commands.error import RateLimited
from signalbox.commands.ledger.usage import interval_of
from signalbox.gateway.read_claim import Bucket, TenantEnv
from signalbox.workers.execution.pipeline_types import Admitted

LATE = 1_000_000
"""Burst of a bucket in microseconds: it holds what the rate gives in this time, and one more; as in
rate.lua."""
MAX_PLACES = 10_000
"""Number of buckets above which full ones are dropped."""


class ReadRates:
    """The buckets of this process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._full_at: dict[TenantEnv, float] = {}

    def check(self, item: Admitted, bucket: Bucket) -> None:
        """Take a token of this process' bucket. Raises RateLimited."""
        rate = item.quotas.commands_per_second
        if rate is None:
            return
        command, interval = item.claimed.command, interval_of(rate)
        wait = _wait(bucket.full_at, bucket.now, interval)
        if wait <= 0 and command.kind in bucket.waiting:
            wait = interval
        if wait <= 0:
            wait = self._take((command.tenant_id, command.env), interval)
        if wait > 0:
            error = RateLimited(
                f"over the tenant's {rate:g} commands per second",
                next_step="read it again later; send less, or raise the rate with "
                "`signalbox policy set`",
            )
            error.retry_after = max(0.001, round(wait / 1e6, 3))
            raise error

    def _take(self, tenant_env: TenantEnv, interval: int) -> float:
        """Take a token; return the microseconds until there is one, 0 if it was taken."""
        now = time.monotonic() * 1e6
        with self._lock:
            if len(self._full_at) >= MAX_PLACES:
                self._full_at = {p: full for p, full in self._full_at.items() if full > now}
            full = max(self._full_at.get(tenant_env, 0.0), now)
            wait = _wait(full, now, interval)
            if wait <= 0:
                self._full_at[tenant_env] = full + interval
            return max(0.0, wait)


def _wait(full_at: float, now: float, interval: int) -> float:
    """Return the microseconds until there is a token, at most 0 if there is one.

    A debt larger than this rate can cause counts as the largest possible one.
    """
    full_at = min(max(full_at, now), now + interval + LATE)
    return full_at - LATE - now
