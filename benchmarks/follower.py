"""A process that follows the route log as a worker does, and notes when its cache knows a change.

    python -m benchmarks.follower STATE_URL

It prints `ready` and reads a revision; once it heard of that one, it prints `<revision> <seconds of
CLOCK_MONOTONIC>` for each. On Linux that clock is the same in all processes.
"""

from __future__ import annotations

import sys
import time

from signalbox.commands.scope import Scope
from signalbox.commands.state import connect
from signalbox.routing.cache.log_follower import LogFollower
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.event_log import EventLog
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, revision_of


class _WatchedCache(RouteCache):
    """Kept in memory until the end: to print each at once would be part of what is measured."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, registry.policies)
        self.heard: list[tuple[int, float]] = []

    def learn(self, scope: Scope, fence: str, route: Route | None) -> None:
        super().learn(scope, fence, route)
        self.heard.append((revision_of(fence), time.monotonic()))


def main() -> None:
    url = sys.argv[1]
    cache = _WatchedCache(Registry(connect(url)))
    tail = LogFollower(cache, EventLog(connect(url)))
    tail.start()
    while cache.position is None:
        time.sleep(0.01)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    last = int(sys.stdin.readline())
    while not cache.heard or cache.heard[-1][0] < last:
        time.sleep(0.01)
    tail.stop()
    for revision, moment in cache.heard:
        sys.stdout.write(f"{revision} {moment:.6f}\n")


if __name__ == "__main__":
    main()
