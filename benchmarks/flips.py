"""A route that is switched as fast as it goes, under a stream of puts: flips a second, and how
many commands ran on a route older than the one at their claim."""

from __future__ import annotations

import bisect
import threading
import time
from itertools import count

from benchmarks.figure import Figure
from benchmarks.part import Bench
from benchmarks.routes import by
from benchmarks.testbed import ENV, TIMEOUT, Testbed, open_testbed, puts
from signalbox.commands.outcome import Outcome
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.routing.route import RouteTarget

TENANT, BATCH, EVENTS = "t_flips", 5, 1_000_000
SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=TENANT, env=ENV)


def flip_cost(bench: Bench) -> list[Figure]:
    """Two streams of puts, five a submit; Redis' clock says what came first."""
    with open_testbed(bench.data) as it:
        it.route(TENANT)
        outcomes: list[Outcome] = []
        over = threading.Event()
        streams = [threading.Thread(target=_stream, args=(it, outcomes, over)) for _ in range(2)]
        for stream in streams:
            stream.start()
        try:
            flips, seconds = _switch(it, bench.seconds)
        finally:
            over.set()
            for stream in streams:
                stream.join()
        stale = _stale(it, outcomes)
    if not outcomes or any(outcome.error for outcome in outcomes):
        raise RuntimeError("not all puts were done")
    return [
        Figure("switches under load", flips / seconds, "switches/s"),
        Figure("commands meanwhile", len(outcomes), "commands"),
        Figure("routes that they ran on", len({o.route_revision for o in outcomes}), "revisions"),
        Figure("commands on an old route", stale, "commands", most=0),
    ]


def _stream(it: Testbed, outcomes: list[Outcome], over: threading.Event) -> None:
    while not over.is_set():
        submissions = it.client.submit_many(puts(TENANT, BATCH))
        outcomes += [outcome for outcome in it.client.wait(submissions, TIMEOUT) if outcome]


def _switch(it: Testbed, seconds: float) -> tuple[int, float]:
    registry, started = it.registry, time.monotonic()
    for number in count():
        config: RouteConfig = {"base_dir": str(it.data / ("left", "right")[number % 2])}
        registry.switch(SCOPE, RouteTarget("filesystem", config, Mode.LAB), by())
        spent = time.monotonic() - started
        if spent >= seconds:
            break
    return number + 1, spent


def _stale(it: Testbed, outcomes: list[Outcome]) -> int:
    events = [e for e in it.registry.events(0, limit=EVENTS) if e.subject == SCOPE.field]
    changes = [(e.committed_at, e.revision) for e in events if e.committed_at is not None]
    times = [at for at, _ in changes]
    return sum(
        (outcome.route_revision or 0)
        < changes[bisect.bisect_right(times, outcome.claimed_at) - 1][1]
        for outcome in outcomes
    )
