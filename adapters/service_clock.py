"""Estimates a service's clock from the `Date` headers of its responses.

The service's clock decides whether a request has expired, while our clock measures the lease. A
date is truncated to its second and was written before it arrived, so `date - arrival` is never more
than the true difference. The largest such difference of the last minutes is used, so that an expiry
is rather too early than too late.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from signalbox.adapters.http_date import http_date
from signalbox.adapters.port import TimeLimit
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired

MARGIN_SECONDS = 1.0
"""Seconds kept free before the end of the lease, since a service has several machines with
different clocks, and a request that arrives in time takes effect a little later."""
WINDOW_SECONDS = 60.0
"""Differences are dropped after one to two times this many seconds, if there are newer ones."""
KNOWN_SECONDS = 600.0
"""Seconds after the last response during which its clock is assumed to run like ours."""


EXPIRED_SECONDS = 60
"""Seconds since the expiry of a limit of class Past."""


class Past:
    """Marks a limit, in probes, that expired a minute ago by the service's clock."""


@dataclass(frozen=True)
class PastLimit(Past):
    """Another limit, moved into the past."""

    limit: TimeLimit

    @property
    def deadline(self) -> float:
        return self.limit.deadline

    def remaining(self) -> float:
        return self.limit.remaining()


class ServiceClock:
    """What is known of one service's clock. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._date = ""
        self._heard = float("-inf")
        self._began = 0.0
        self._current: float | None = None
        self._before: float | None = None

    def observe(self, date: str | None) -> None:
        """Record a response's `Date` header; must be called when it arrives."""
        # A later response with the same date tells nothing more.
        if not date or date == self._date:
            return
        arrived = lease_clock()
        try:
            difference = http_date(date).timestamp() - arrived
        except ValueError:
            return
        with self._lock:
            self._date, self._heard = date, arrived
            if arrived - self._began > WINDOW_SECONDS:
                self._before, self._current, self._began = self._current, None, arrived
            self._current = max(self._current or difference, difference)

    def learn(self, ask: Callable[[], object]) -> None:
        """Call `ask` to get a response, if there was none for long.

        A service without `Date` is assumed to have this machine's time.
        """
        if lease_clock() - self._heard < KNOWN_SECONDS:
            return
        with self._asking:
            if lease_clock() - self._heard >= KNOWN_SECONDS:
                ask()
                self._heard = lease_clock()

    def now(self) -> float:
        """Return seconds since 1970, never ahead of the service's clock."""
        return lease_clock() + self._difference()

    def window(self, limit: TimeLimit) -> tuple[int, int]:
        """Return now and the expiry of a request within the limit, in seconds since 1970.

        Both are by the service's clock; the expiry is the last whole second that is at least
        `MARGIN_SECONDS` before the limit. Raises LeaseExpired if it is over.
        """
        difference = self._difference()
        now = lease_clock() + difference
        if isinstance(limit, Past):
            return int(now) - 2 * EXPIRED_SECONDS, int(now) - EXPIRED_SECONDS
        end = int(limit.deadline + difference - MARGIN_SECONDS)
        if end <= now:
            raise LeaseExpired("too little of the lease is left for a request")
        return int(now), end

    def _difference(self) -> float:
        known = [found for found in (self._current, self._before) if found is not None]
        return max(known) if known else time.time() - lease_clock()
