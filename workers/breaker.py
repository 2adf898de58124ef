"""Circuit breakers: a backend that is down or hangs parks its commands, and holds up no others.

One for each place that routes of this process lead to (backend type and config). It opens after
`FAILURES` commands in a row found the backend unavailable, or while `HANGING_MOST` calls have
been without an answer for `HANGING_SECONDS`. Parked commands spend no attempts. When its time is
over, one command goes through as a probe: it closes the breaker, or opens it for twice as long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import redis
import structlog

from commands.breaker_report import BreakerReport, Place
from commands.error import BackendResting, StateUnavailable, Unavailable
from workers.stage import Admitted, Ended

log = structlog.get_logger("signalbox.breaker")

FAILURES = 3
FIRST_REST = 1.0
LONGEST_REST = 30.0
HANGING_MOST = 2
HANGING_SECONDS = 5.0


@dataclass
class _Breaker:
    failures: int = 0
    rest: float = FIRST_REST
    open_until: float = 0.0
    is_open: bool = False
    running: list[float] = field(default_factory=list)
    """When each call that has no answer yet began."""

    def wait(self, now: float) -> float | None:
        """Seconds until a command may run; None: now."""
        if self.is_open and now < self.open_until:
            return self.open_until - now
        hanging = [now - began for began in self.running if now - began > HANGING_SECONDS]
        if len(hanging) >= HANGING_MOST:
            # The longer it hangs the less often it is asked for: each look at a parked command
            # is work that the healthy backends' commands wait for.
            return min(LONGEST_REST, max(hanging))
        if self.is_open:
            # The others wait for what this one finds.
            self.open_until = now + self.rest
        return None

    def failed(self, now: float, commands: int) -> bool:
        """Whether it opens, or stays open, by the failure of so many commands."""
        self.failures += commands
        if self.is_open:
            self.rest = min(LONGEST_REST, 2 * self.rest)
        elif self.failures < FAILURES:
            return False
        self.is_open = True
        self.open_until = now + self.rest
        return True

    def worked(self) -> bool:
        """Whether it closes by this success."""
        was_open = self.is_open
        self.failures, self.rest, self.is_open = 0, FIRST_REST, False
        return was_open


class Breakers:
    """The breakers of a process. Thread-safe."""

    def __init__(self, state: redis.Redis, worker: str) -> None:
        self._report = BreakerReport(state)
        self._worker = worker
        self._lock = threading.Lock()
        self._breakers: dict[Place, _Breaker] = {}

    def run(
        self, admitted: Sequence[Admitted], run: Callable[[Sequence[Admitted]], list[Ended]]
    ) -> list[Ended]:
        """Run those whose backend is up, as far as anyone knows, and park the others."""
        gated, parked = self._gate(admitted)
        ran: list[Ended] = []
        try:
            ran = run(gated)
        finally:
            resting = self._note(gated, ran)
        # What the breaker opened on waits with the others: a backend's rest spends no attempts.
        return parked + [_at_rest(end, resting) for end in ran]

    def _gate(self, admitted: Sequence[Admitted]) -> tuple[list[Admitted], list[Ended]]:
        waits: dict[Place, float | None] = {}
        gated: list[Admitted] = []
        parked: list[Ended] = []
        now = time.monotonic()
        with self._lock:
            for item in admitted:
                place = _place(item)
                if place not in waits:
                    breaker = self._breakers.setdefault(place, _Breaker())
                    waits[place] = breaker.wait(now)
                    if waits[place] is None:
                        breaker.running.append(now)
                wait = waits[place]
                if wait is None:
                    gated.append(item)
                    if self._breakers[place].is_open:
                        # The probe is one command, whatever else came with it.
                        waits[place] = self._breakers[place].rest
                else:
                    parked.append(Ended(item.claimed, item.route, error=_resting(item, wait)))
        return gated, parked

    def _note(self, gated: Sequence[Admitted], ended: Sequence[Ended]) -> dict[Place, float]:
        """Learn from how they ended; the places that are at rest now, and for how long."""
        ends = {item.claimed.command.ref: item for item in ended}
        healthy: dict[Place, bool] = {}
        sick: dict[Place, int] = {}
        for item in gated:
            end = ends.get(item.claimed.command.ref)
            if end is None or not end.attempted:
                continue
            place, down = _place(end), isinstance(end.error, Unavailable)
            # One that worked is enough: the backend is there.
            healthy[place] = healthy.get(place, False) or not down
            sick[place] = sick.get(place, 0) + down
        now = time.monotonic()
        with self._lock:
            opened, closed = [], []
            for place in sorted({_place(item) for item in gated}):
                breaker = self._breakers[place]
                if breaker.running:
                    breaker.running.pop(0)
                if place not in healthy:
                    continue
                if healthy[place] and breaker.worked():
                    closed.append(place)
                elif not healthy[place] and breaker.failed(now, sick[place]):
                    opened.append((place, breaker.rest))
                if not (breaker.is_open or breaker.failures or breaker.running):
                    del self._breakers[place]
        for place, rest in opened:
            log.warning("backend rests", backend=place[0], config=place[1], seconds=rest)
        for place in closed:
            log.info("backend is back", backend=place[0], config=place[1])
        if opened or closed:
            with suppress(StateUnavailable):  # the breaker does its work without being seen
                self._report.write(self._worker, dict(opened), closed)
        return dict(opened)


def _at_rest(end: Ended, resting: dict[Place, float]) -> Ended:
    rest = resting.get(_place(end)) if isinstance(end.error, Unavailable) else None
    if rest is None:
        return end
    return Ended(end.claimed, end.route, error=_resting(end, rest), tried=True)


def _place(item: Admitted | Ended) -> Place:
    assert item.route is not None  # noqa: S101 - whatever comes to a breaker has one
    return item.route.place


def _resting(item: Admitted | Ended, wait: float) -> BackendResting:
    assert item.route is not None  # noqa: S101 - see `_place`
    error = BackendResting(
        "the backend does not answer, its commands are parked",
        next_step="nothing is lost; see `signalbox routes check`, and bring the backend back",
    )
    error.at(
        kind=item.route.scope.kind,
        tenant_id=item.route.scope.tenant_id,
        env=item.route.scope.env,
        backend_type=item.route.backend_type,
    )
    # A little later than the probe, so that they find what it found.
    error.retry_after = round(wait + 0.2, 3)
    return error
