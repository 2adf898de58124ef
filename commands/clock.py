"""The clock of leases."""

from __future__ import annotations

import time

# `time.monotonic` stands still on Linux while the machine is suspended, so a lease that ran out
# meanwhile would look valid to a worker that wakes up. Elsewhere the monotonic clock counts sleep.
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def lease_clock() -> float:
    """Return seconds since a fixed moment, including time for which the machine was suspended."""
    return time.clock_gettime(_CLOCK)
