"""The circuit breakers of a process: commands for a backend that is down or hangs are parked.

There is one breaker for each failure domain that this process has routes to: a backend type and
config, or a single scope where each has its own files (`scopes_fail_alone`). While it is open, the
commands of that domain are parked, also those of a message that have not begun. Parked commands use
up no attempts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from signalbox.commands.breaker_report import BreakerReport, FailureDomain
from signalbox.commands.error import BackendResting, LeaseExpired, StateUnavailable, Unavailable
from signalbox.commands.ledger.record_fields import SLOWEST_BYTES_PER_SECOND
from signalbox.commands.state import State
from signalbox.workers.execution.breaker import (
    FAILURES,
    FIRST_REST,
    HANGING_SECONDS,
    LONGEST_REST,
    Breaker,
    RunningGroup,
)
from signalbox.workers.execution.pipeline_types import Admitted, Early, Ended, Watch

log = structlog.get_logger("signalbox.breaker")


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
        self._breakers: dict[FailureDomain, Breaker] = {}

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
        groups: dict[FailureDomain, RunningGroup] = {}
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

    def begin(self, items: Sequence[Admitted], group: RunningGroup) -> list[Ended]:
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

    def moved(self, group: RunningGroup, seconds: float) -> None:
        """Allow these commands more time, since content was transferred."""
        with self._lock:
            group.allowed_silence += seconds

    def ended(self, ends: Sequence[Ended], group: RunningGroup) -> None:
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
        self, admitted: Sequence[Admitted], groups: dict[FailureDomain, RunningGroup] | None = None
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
                    breaker = self._breakers[failure_domain] = Breaker(self._max_failures)
                if failure_domain not in waits:
                    waits[failure_domain] = breaker.wait(now)
                    if waits[failure_domain] is None and groups is not None:
                        if breaker.is_open:
                            breaker.probe(now)
                        groups[failure_domain] = RunningGroup(now, HANGING_SECONDS, breaker.is_open)
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

    def _end(self, groups: dict[FailureDomain, RunningGroup]) -> dict[FailureDomain, float]:
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
    groups: dict[FailureDomain, RunningGroup]

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
