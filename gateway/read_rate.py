"""Tenants' rates for reads that nothing is written for: counted in this process alone.

A read runs if the tenant's bucket in the ledger has a token and nothing of its kind waits in line
there, and if this process has not let as many reads go as the rate allows. So a tenant that uses
up its rate by commands reads nothing, and one that reads as fast as it may still has its rate for
commands, and in another process for reads.
"""

from __future__ import annotations

import threading
import time

from signalbox.commands.error import RateLimited
from signalbox.commands.ledger.usage import interval_of
from signalbox.gateway.read_claim import Bucket, TenantEnv
from signalbox.workers.execution.pipeline_types import Admitted

LATE = 1_000_000
"""Microseconds: a bucket holds what comes in them, and one command more; as in rate.lua."""
MAX_PLACES = 10_000
"""Full buckets are forgotten when there are more."""


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
        """Microseconds until there is a token; 0: it was taken."""
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
    """Until there is a token again; not more than 0 if there is one. A debt that this rate cannot
    have counts as one that it can."""
    full_at = min(max(full_at, now), now + interval + LATE)
    return full_at - LATE - now
