"""Circuit breakers: a backend that is down or hangs parks its commands, and holds up no others.

One for each place that routes of this process lead to: what fails together, so a backend type and
config, or a scope of it where each has files of its own (`scopes_fail_alone`). It opens after
`FAILURES` commands in a row found the backend unavailable, or while `MAX_HANGING` messages have
heard nothing from it for `HANGING_SECONDS`; what they have not begun is then parked as well. Parked
commands spend no attempts. When its time is over, one command goes through as a probe: it closes
the breaker, or opens it for twice as long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from signalbox.commands.breaker_report import BreakerReport, FailureDomain
from signalbox.commands.error import BackendResting, LeaseExpired, StateUnavailable, Unavailable
from signalbox.commands.ledger.fields import SLOWEST_BYTES_PER_SECOND
from signalbox.commands.state import State
from signalbox.workers.execution.pipeline_types import Admitted, Early, Ended, Watch

log = structlog.get_logger("signalbox.breaker")

FAILURES = 3
FIRST_REST = 1.0
LONGEST_REST = 30.0
MAX_HANGING = 2
HANGING_SECONDS = 5.0


@dataclass
class _Turn:
    """One message's commands at one place, while they run."""

    heard: float
    """When they began, or when the backend last answered one of them."""
    patience: float
    """Seconds without an answer after which they hang: large content takes its time."""
    probe: bool
    """One command that finds out whether the backend is back."""

    def silence(self, now: float) -> float:
        """Seconds since it was heard, if that is too long; else 0."""
        silence = now - self.heard
        return silence if silence > self.patience else 0.0


@dataclass
class _Breaker:
    failures_most: int
    failures: int = 0
    rest: float = FIRST_REST
    open_until: float = 0.0
    is_open: bool = False
    is_reported: bool = False
    probing: bool = False
    running: list[_Turn] = field(default_factory=list)

    def wait(self, now: float) -> float | None:
        """Seconds until a command may run; None: now, and one alone if it is open."""
        if self.is_open and now < self.open_until:
            return self.open_until - now
        silences = [silence for turn in self.running if (silence := turn.silence(now))]
        if len(silences) >= MAX_HANGING:
            # The longer it hangs the less often it is asked for: each look at a parked command
            # is work that the healthy backends' commands wait for.
            return min(LONGEST_REST, max(silences))
        return None

    def probe(self, now: float) -> None:
        """One command finds out whether the backend is back; the others wait for what it finds."""
        self.open_until = now + self.rest
        self.probing = True

    def failed(self, now: float, commands: int) -> None:
        """Note the failure of a call of so many commands; it may open by it."""
        self.failures += commands
        if self.is_open and self.probing:
            self.rest = min(LONGEST_REST, 2 * self.rest)
            self.probing = False
        elif self.failures < self.failures_most:
            return
        self.is_open = True
        self.open_until = now + self.rest

    def worked(self) -> None:
        self.failures, self.rest, self.is_open, self.probing = 0, FIRST_REST, False, False


class Breakers:
    """The breakers of a process. Thread-safe."""

    def __init__(self, state: State, worker: str, failures_most: int = FAILURES) -> None:
        self._report = BreakerReport(state)
        self._worker = worker
        self._failures_most = failures_most
        self._lock = threading.Lock()
        self._breakers: dict[FailureDomain, _Breaker] = {}

    def screen(self, admitted: Sequence[Admitted]) -> tuple[list[Admitted], list[Ended]]:
        """Those whose backend is up, as far as anyone knows, and the ends of the others.

        Asked before anything is spent on them, such as tokens of their tenant's rate.
        """
        return self._split(admitted)

    def run(
        self,
        admitted: Sequence[Admitted],
        run: Callable[[Sequence[Admitted], Watch, Early], list[Ended]],
        early: Early,
    ) -> list[Ended]:
        """Run those whose backend is up, as far as anyone knows, and park the others.

        `early` gets what has ended for good while others still run; what comes again waits for
        what they find.
        """
        turns: dict[FailureDomain, _Turn] = {}
        gated, parked = self._split(admitted, turns)
        open_ends: list[Ended] = []

        def first(ends: Sequence[Ended]) -> None:
            open_ends.extend(end for end in ends if end.may_change)
            early([end for end in ends if not end.may_change])

        try:
            ran = run(gated, _Watched(self, turns), first)
        finally:
            resting = self._end(turns)
        # What the breaker opened on waits with the others: a backend's rest spends no attempts.
        return parked + [_at_rest(end, resting) for end in open_ends + ran]

    def begin(self, items: Sequence[Admitted], turn: _Turn) -> list[Ended]:
        """The ends of commands of one place that waited for their turn in vain, or none."""
        now = time.monotonic()
        with self._lock:
            breaker = self._breakers[_failure_domain(items[0])]
            wait = turn.silence(now)
            if breaker.is_open and not turn.probe:
                wait = max(wait, breaker.open_until - now, FIRST_REST)
        if not wait:
            return []
        wait = min(LONGEST_REST, wait)
        return [Ended(item.claimed, item.route, error=_resting(item, wait)) for item in items]

    def moved(self, turn: _Turn, seconds: float) -> None:
        """Content comes, which takes its time."""
        with self._lock:
            turn.patience += seconds

    def ended(self, ends: Sequence[Ended], turn: _Turn) -> None:
        """Learn from the ends of one call."""
        now = time.monotonic()
        if all(isinstance(end.error, LeaseExpired) for end in ends):
            return  # it says nothing about the backend
        with self._lock:
            breaker = self._breakers[_failure_domain(ends[0])]
            # One that worked is enough: the backend is there.
            if all(isinstance(end.error, Unavailable) for end in ends):
                breaker.failed(now, len(ends))
            else:
                turn.heard = now
                breaker.worked()

    def _split(
        self, admitted: Sequence[Admitted], turns: dict[FailureDomain, _Turn] | None = None
    ) -> tuple[list[Admitted], list[Ended]]:
        """Those that may run, and the ends of the others; the former begin a turn in `turns`."""
        waits: dict[FailureDomain, float | None] = {}
        ready: list[Admitted] = []
        parked: list[Ended] = []
        now = time.monotonic()
        with self._lock:
            for item in admitted:
                failure_domain = _failure_domain(item)
                breaker = self._breakers.get(failure_domain)
                if breaker is None:
                    if turns is None:
                        ready.append(item)
                        continue
                    breaker = self._breakers[failure_domain] = _Breaker(self._failures_most)
                if failure_domain not in waits:
                    waits[failure_domain] = breaker.wait(now)
                    if waits[failure_domain] is None and turns is not None:
                        if breaker.is_open:
                            breaker.probe(now)
                        turns[failure_domain] = _Turn(now, HANGING_SECONDS, breaker.is_open)
                        breaker.running.append(turns[failure_domain])
                wait = waits[failure_domain]
                if wait is not None:
                    parked.append(Ended(item.claimed, item.route, error=_resting(item, wait)))
                    continue
                ready.append(item)
                if breaker.is_open:
                    # The probe is one command, whatever else came with it.
                    waits[failure_domain] = breaker.rest
                if turns is not None:
                    slow = item.claimed.command.size / SLOWEST_BYTES_PER_SECOND
                    turns[failure_domain].patience = max(
                        turns[failure_domain].patience, HANGING_SECONDS + slow
                    )
        return ready, parked

    def _end(self, turns: dict[FailureDomain, _Turn]) -> dict[FailureDomain, float]:
        """The places that are at rest now, and for how long; tell of what changed."""
        resting: dict[FailureDomain, float] = {}
        closed: list[FailureDomain] = []
        with self._lock:
            for failure_domain, turn in sorted(turns.items()):
                breaker = self._breakers[failure_domain]
                breaker.running = [each for each in breaker.running if each is not turn]
                if breaker.is_open:
                    resting[failure_domain] = breaker.rest
                elif breaker.is_reported and not breaker.is_open:
                    closed.append(failure_domain)
                breaker.is_reported = breaker.is_open
                if not (breaker.is_open or breaker.failures or breaker.running):
                    del self._breakers[failure_domain]
        for failure_domain, rest in resting.items():
            log.warning("backend rests", **_named(failure_domain), seconds=rest)
        for failure_domain in closed:
            log.info("backend is back", **_named(failure_domain))
        if resting or closed:
            with suppress(StateUnavailable):  # the breaker does its work without being seen
                self._report.write(self._worker, resting, closed)
        return resting


@dataclass(frozen=True)
class _Watched:
    """What the adapters' threads ask and tell while one message's commands run."""

    breakers: Breakers
    turns: dict[FailureDomain, _Turn]

    def begin(self, items: Sequence[Admitted]) -> list[Ended]:
        return self.breakers.begin(items, self.turns[_failure_domain(items[0])])

    def moved(self, item: Admitted, seconds: float) -> None:
        self.breakers.moved(self.turns[_failure_domain(item)], seconds)

    def ended(self, ends: Sequence[Ended]) -> None:
        self.breakers.ended(ends, self.turns[_failure_domain(ends[0])])


def _at_rest(end: Ended, resting: dict[FailureDomain, float]) -> Ended:
    rest = resting.get(_failure_domain(end)) if isinstance(end.error, Unavailable) else None
    if rest is None:
        return end
    return Ended(end.claimed, end.route, error=_resting(end, rest), tried=True)


def _failure_domain(item: Admitted | Ended) -> FailureDomain:
    assert item.route is not None  # noqa: S101 - whatever comes to a breaker has one
    return item.route.failure_domain


def _named(failure_domain: FailureDomain) -> dict[str, str]:
    backend_type, config, scope = failure_domain
    return {"backend": backend_type, "config": config} | ({"scope": scope} if scope else {})


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
