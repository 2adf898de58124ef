"""The time by a service's own clock, as far as its answers tell it.

A request that is refused after its expiry is judged by the service's clock, and a lease is held by
ours: what lies between them is taken from the `Date` of the answers. A date is cut to its second
and was written before it arrived, so `date - arrival` is never more than the true difference. The
largest such difference of the last minutes is used: an expiry is rather too early than too late.
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
"""Kept free before the lease's end: a service has several machines with a clock each, and a request
that arrives in time takes effect a little later."""
WINDOW_SECONDS = 60.0
"""Differences are forgotten after one to two of these, where newer ones came."""
KNOWN_SECONDS = 600.0
"""So long after the last answer its clock is taken to run as ours does."""


EXPIRED_SECONDS = 60


class Past:
    """For probes: a limit of this class was over a minute ago, by the service's clock."""


@dataclass(frozen=True)
class PastLimit(Past):
    """Another limit, moved there."""

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
        """Take an answer's `Date` header; to be called when it has arrived."""
        # A second answer with the same date arrived later: it says nothing more.
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
        """Make `ask` bring an answer, if there was none for long. What has no `Date` is taken to
        keep the time of this machine."""
        if lease_clock() - self._heard < KNOWN_SECONDS:
            return
        with self._asking:
            if lease_clock() - self._heard >= KNOWN_SECONDS:
                ask()
                self._heard = lease_clock()

    def now(self) -> float:
        """Seconds since 1970, never ahead of the service's own."""
        return lease_clock() + self._difference()

    def window(self, limit: TimeLimit) -> tuple[int, int]:
        """Now, and the end of what is sent within the limit: the last whole second that surely
        lies `MARGIN_SECONDS` before it. Both in seconds since 1970, by the service.

        Raises LeaseExpired if it is over.
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
