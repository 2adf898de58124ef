"""Circuit breakers: commands for a backend that is down or hangs are parked instead of run.

There is one breaker for each failure domain that this process has routes to: a backend type and
config, or a single scope where each has its own files (`scopes_fail_alone`). A breaker opens after
`FAILURES` consecutive commands that found the backend unavailable, or while `MAX_HANGING` messages
have had no answer for `HANGING_SECONDS`; their commands that have not begun are then parked too.
Parked commands use up no attempts. When the rest is over, one command runs as a probe: it closes
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
from signalbox.commands.ledger.record_fields import SLOWEST_BYTES_PER_SECOND
from signalbox.commands.state import State
from signalbox.workers.execution.pipeline_types import Admitted, Early, Ended, Watch

log = structlog.get_logger("signalbox.breaker")

FAILURES = 3
"""Consecutive unavailable answers that open a breaker."""
FIRST_REST = 1.0
"""Seconds that a breaker stays open at first."""
LONGEST_REST = 30.0
"""Maximum seconds that a breaker stays open before the next probe."""
MAX_HANGING = 2
"""Number of hanging messages that open a breaker."""
HANGING_SECONDS = 5.0
"""Seconds without an answer after which a message's commands hang, if they move little content."""


@dataclass
class _RunningGroup:
    """The commands of one message in one failure domain, while they run."""

    heard: float
    """When they began, or when the backend last answered; seconds of the monotonic clock."""
    allowed_silence: float
    """Seconds without an answer after which they count as hanging; longer for large content."""
    probe: bool
    """Whether this is the one command that finds out if the backend is back."""

    def silence(self, now: float) -> float:
        """Return the seconds since the last answer if they exceed `allowed_silence`, else 0."""
        silence = now - self.heard
        return silence if silence > self.allowed_silence else 0.0


@dataclass
class _Breaker:
    max_failures: int
    failures: int = 0
    rest: float = FIRST_REST
    open_until: float = 0.0
    is_open: bool = False
    is_reported: bool = False
    probing: bool = False
    running: list[_RunningGroup] = field(default_factory=list)

    def wait(self, now: float) -> float | None:
        """Return the seconds until commands may run.

        None if they may now, or one may if it is open.
        """
        if self.is_open and now < self.open_until:
            return self.open_until - now
        silences = [silence for group in self.running if (silence := group.silence(now))]
        if len(silences) >= MAX_HANGING:
            # The longer the backend hangs, the less often its commands are looked at: each look
            # takes time from commands of healthy backends.
            return min(LONGEST_REST, max(silences))
        return None

    def probe(self, now: float) -> None:
        """Begin a probe: one command runs, and the others wait for its result."""
        self.open_until = now + self.rest
        self.probing = True

    def failed(self, now: float, commands: int) -> None:
        """Record a failed call of so many commands, which may open the breaker."""
        self.failures += commands
        if self.is_open and self.probing:
            self.rest = min(LONGEST_REST, 2 * self.rest)
            self.probing = False
        elif self.failures < self.max_failures:
            return
        self.is_open = True
        self.open_until = now + self.rest

    def worked(self) -> None:
        """Record a call that reached the backend, which closes the breaker."""
        self.failures, self.rest, self.is_open, self.probing = 0, FIRST_REST, False, False


class Breakers:
    """The breakers of a process. Thread-safe."""

    def __init__(self, state: State, worker: str, max_failures: int = FAILURES) -> None:
        """`worker` is the name under which the state of the breakers is reported.

        `max_failures` consecutive failures open a breaker.
        """
        self._report = BreakerReport(state)
        self._worker = worker
        self._max_failures = max_failures
        self._lock = threading.Lock()
        self._breakers: dict[FailureDomain, _Breaker] = {}

    def screen(self, admitted: Sequence[Admitted]) -> tuple[list[Admitted], list[Ended]]:
        """Return the commands whose backend is believed to be up, and the ends of the others.

        Called before the commands use up anything, such as their tenant's rate tokens.
        """
        return self._split(admitted)

    def run(
        self,
        admitted: Sequence[Admitted],
        run: Callable[[Sequence[Admitted], Watch, Early], list[Ended]],
        early: Early,
    ) -> list[Ended]:
        """Run the commands whose backend is believed to be up and park the others; return all ends.

        `early` gets final ends while other commands still run. Ends that will be retried are
        returned at the end, since the breaker may have opened by then.
        """
        groups: dict[FailureDomain, _RunningGroup] = {}
        gated, parked = self._split(admitted, groups)
        open_ends: list[Ended] = []

        def first(ends: Sequence[Ended]) -> None:
            open_ends.extend(end for end in ends if end.may_change)
            early([end for end in ends if not end.may_change])

        try:
            ran = run(gated, _Watched(self, groups), first)
        finally:
            resting = self._end(groups)
        # A command that failed while the breaker opened waits like the parked ones, so that it uses
        # up no attempt.
        return parked + [_at_rest(end, resting) for end in open_ends + ran]

    def begin(self, items: Sequence[Admitted], group: _RunningGroup) -> list[Ended]:
        """Return the ends of commands of one domain that may no longer run, or none if they may."""
        now = time.monotonic()
        with self._lock:
            breaker = self._breakers[_failure_domain(items[0])]
            wait = group.silence(now)
            if breaker.is_open and not group.probe:
                wait = max(wait, breaker.open_until - now, FIRST_REST)
        if not wait:
            return []
        wait = min(LONGEST_REST, wait)
        return [Ended(item.claimed, item.route, error=_resting(item, wait)) for item in items]

    def moved(self, group: _RunningGroup, seconds: float) -> None:
        """Allow these commands more time, since content was transferred."""
        with self._lock:
            group.allowed_silence += seconds

    def ended(self, ends: Sequence[Ended], group: _RunningGroup) -> None:
        """Update the breaker after one call."""
        now = time.monotonic()
        if all(isinstance(end.error, LeaseExpired) for end in ends):
            return  # This says nothing about the backend.
        with self._lock:
            breaker = self._breakers[_failure_domain(ends[0])]
            # One command that reached the backend shows that it is up.
            if all(isinstance(end.error, Unavailable) for end in ends):
                breaker.failed(now, len(ends))
            else:
                group.heard = now
                breaker.worked()

    def _split(
        self, admitted: Sequence[Admitted], groups: dict[FailureDomain, _RunningGroup] | None = None
    ) -> tuple[list[Admitted], list[Ended]]:
        """Return the commands that may run and the ends of the others.

        Record the former in `groups`.
        """
        waits: dict[FailureDomain, float | None] = {}
        ready: list[Admitted] = []
        parked: list[Ended] = []
        now = time.monotonic()
        with self._lock:
            for item in admitted:
                failure_domain = _failure_domain(item)
                breaker = self._breakers.get(failure_domain)
                if breaker is None:
                    if groups is None:
                        ready.append(item)
                        continue
                    breaker = self._breakers[failure_domain] = _Breaker(self._max_failures)
                if failure_domain not in waits:
                    waits[failure_domain] = breaker.wait(now)
                    if waits[failure_domain] is None and groups is not None:
                        if breaker.is_open:
                            breaker.probe(now)
                        groups[failure_domain] = _RunningGroup(
                            now, HANGING_SECONDS, breaker.is_open
                        )
                        breaker.running.append(groups[failure_domain])
                wait = waits[failure_domain]
                if wait is not None:
                    parked.append(Ended(item.claimed, item.route, error=_resting(item, wait)))
                    continue
                ready.append(item)
                if breaker.is_open:
                    # Only one command is the probe; the others that came with it wait.
                    waits[failure_domain] = breaker.rest
                if groups is not None:
                    slow = item.claimed.command.size / SLOWEST_BYTES_PER_SECOND
                    groups[failure_domain].allowed_silence = max(
                        groups[failure_domain].allowed_silence, HANGING_SECONDS + slow
                    )
        return ready, parked

    def _end(self, groups: dict[FailureDomain, _RunningGroup]) -> dict[FailureDomain, float]:
        """End these groups.

        Return the domains whose breaker is open, with the seconds, and report changes.
        """
        resting: dict[FailureDomain, float] = {}
        closed: list[FailureDomain] = []
        with self._lock:
            for failure_domain, group in sorted(groups.items()):
                breaker = self._breakers[failure_domain]
                breaker.running = [each for each in breaker.running if each is not group]
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
            with suppress(StateUnavailable):  # The breaker works without being reported.
                self._report.write(self._worker, resting, closed)
        return resting


@dataclass(frozen=True)
class _Watched:
    """Passes what the adapters' threads report to the breakers, for one message."""

    breakers: Breakers
    groups: dict[FailureDomain, _RunningGroup]

    def begin(self, items: Sequence[Admitted]) -> list[Ended]:
        return self.breakers.begin(items, self.groups[_failure_domain(items[0])])

    def moved(self, item: Admitted, seconds: float) -> None:
        self.breakers.moved(self.groups[_failure_domain(item)], seconds)

    def ended(self, ends: Sequence[Ended]) -> None:
        self.breakers.ended(ends, self.groups[_failure_domain(ends[0])])


def _at_rest(end: Ended, resting: dict[FailureDomain, float]) -> Ended:
    rest = resting.get(_failure_domain(end)) if isinstance(end.error, Unavailable) else None
    if rest is None:
        return end
    return Ended(end.claimed, end.route, error=_resting(end, rest), tried=True)


def _failure_domain(item: Admitted | Ended) -> FailureDomain:
    assert item.route is not None  # noqa: S101 - only routed commands come here
    return item.route.failure_domain


def _named(failure_domain: FailureDomain) -> dict[str, str]:
    backend_type, config, scope = failure_domain
    return {"backend": backend_type, "config": config} | ({"scope": scope} if scope else {})


def _resting(item: Admitted | Ended, wait: float) -> BackendResting:
    assert item.route is not None  # noqa: S101 - see `_failure_domain`
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
    # A little after the probe, so that its result is known by then.
    error.retry_after = round(wait + 0.2, 3)
    return error
