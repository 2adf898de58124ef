"""From a switch's answer until the caches of all followers know the new route."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from typing import IO

from benchmarks.figure import Spread
from benchmarks.routes import by
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, Scope
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget

FOLLOWERS = 8
SWITCHES = 300
PER_SECOND = 20.0


def propagate(registry: Registry, url: str, scope: Scope) -> tuple[Spread, Spread]:
    """Milliseconds a switch took, and from its answer to the last follower that knew of it.

    Below zero: all knew it before the caller had its answer.
    """
    with ExitStack() as stack:
        followers = [stack.enter_context(_follower(url)) for _ in range(FOLLOWERS)]
        for follower in followers:
            if _out(follower).readline() != "ready\n":
                raise RuntimeError("a follower did not start")
        took, answered = _switch(registry, scope)
        last = _last_heard(followers, max(answered))
    missing = set(answered) - set(last)
    if missing:
        raise RuntimeError(f"{len(missing)} switches were not heard of by all")
    return Spread(took), Spread([(last[r] - at) * 1e3 for r, at in answered.items()])


def _follower(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "benchmarks.follower", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _switch(registry: Registry, scope: Scope) -> tuple[list[float], dict[int, float]]:
    """Milliseconds of each switch, and when each revision was answered."""
    took: list[float] = []
    answered: dict[int, float] = {}
    begun = time.monotonic()
    for number in range(SWITCHES):
        time.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
        config: RouteConfig = {"base_dir": f"/bench/{number}"}
        started = time.monotonic()
        route = registry.switch(scope, RouteTarget("filesystem", config, Mode.LAB), by())
        answered[route.revision] = time.monotonic()
        took.append((answered[route.revision] - started) * 1e3)
    return took, answered


def _last_heard(followers: list[subprocess.Popen[str]], newest: int) -> dict[int, float]:
    """When the last follower knew each revision that all of them heard of."""
    heard: defaultdict[int, list[float]] = defaultdict(list)
    for follower in followers:
        assert follower.stdin is not None  # noqa: S101 - for the type checker
        follower.stdin.write(f"{newest}\n")
        follower.stdin.flush()
    for follower in followers:
        for line in _out(follower):
            revision, moment = line.split()
            heard[int(revision)].append(float(moment))
    return {
        revision: max(moments) for revision, moments in heard.items() if len(moments) == FOLLOWERS
    }


def _out(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None  # noqa: S101 - for the type checker
    return process.stdout
