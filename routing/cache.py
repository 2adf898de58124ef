"""Routes in a worker's memory. The fence makes them right, the tail only makes them fast.

An entry is used only if its fence is exactly the one that the claim just read from Redis, so a
stale route cannot be used, however late or lost its event is. A fence that went back since this
process last saw it shows a registry that lost changes; nothing runs on such a route.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

from commands.error import RegistryRegressed, SignalboxError
from commands.scope import Scope
from routing.registry import Registry
from routing.route import Route, fence_of, no_route, revision_of

MOST = 100_000
"""Scopes kept; the one that was taken in longest ago goes first."""


class RouteCache:
    """Scope -> fence and route (None: known to have none). Thread-safe."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: OrderedDict[Scope, tuple[str | None, Route | None]] = OrderedDict()
        self._lock = threading.Lock()

    def resolve(self, scope: Scope, fence: str | None) -> Route:
        """The route of one scope; see `resolve_many`. Raises RouteNotFound, RegistryRegressed."""
        known = self._known.get(scope)
        if known is not None and known[0] == fence and known[1] is not None:
            return known[1]
        route = self.resolve_many({scope: fence})[scope]
        if isinstance(route, SignalboxError):
            raise route
        return route

    def resolve_many(
        self, fences: Mapping[Scope, str | None]
    ) -> dict[Scope, Route | SignalboxError]:
        """A route at least as new as the fence, or the error, for each scope.

        `fences` holds what the claim read: None where a scope never had a route. At most one
        round trip, for all whose entry has another fence. Raises StateUnavailable.
        """
        found: dict[Scope, Route | SignalboxError] = {}
        # With what was seen of each before the read: another thread may take in a newer route
        # meanwhile, and that is no regression.
        missing: dict[Scope, str | None] = {}
        for scope, fence in fences.items():
            known = self._known.get(scope)
            if known is None or known[0] != fence:
                missing[scope] = _newer(fence, known[0] if known else None)
            else:
                found[scope] = known[1] or no_route(scope)
        if missing:
            answers = self._registry.get_many(list(missing))
            for (scope, seen), (route, fence) in zip(missing.items(), answers, strict=True):
                found[scope] = self._take(scope, seen, fence, route)
        return found

    def learn(self, scope: Scope, fence: str, route: Route | None) -> None:
        """Take in what the event log says; an entry that is newer already stays."""
        with self._lock:
            self._keep(scope, fence, route)

    def forget(self) -> None:
        """Drop all routes: the log had a gap, so nothing is known of what is kept.

        The revisions stay, under fences that no claim can read: a registry that comes back
        older than they are has lost changes.
        """
        with self._lock:
            self._known = OrderedDict(
                (scope, (fence_of(revision_of(fence), ""), None))
                for scope, (fence, _) in self._known.items()
                if fence is not None
            )

    def _take(
        self, scope: Scope, seen: str | None, fence: str | None, route: Route | None
    ) -> Route | SignalboxError:
        if _newer(fence, seen) != fence:
            # The registry is older than it was: restored, or a replica that lost changes was
            # promoted. Nothing runs on what it says until it has caught up.
            return RegistryRegressed(
                f"the route was at {seen}, and is at {fence} now",
                kind=scope.kind,
                tenant_id=scope.tenant_id,
                env=scope.env,
                next_step="look at `signalbox routes history`, set the routes again that are "
                "older than they were, and restart the workers",
            )
        with self._lock:
            self._keep(scope, fence, route)
        return route or no_route(scope)

    def _keep(self, scope: Scope, fence: str | None, route: Route | None) -> None:
        """Unless what is known is newer: another thread read later, or the tail was first."""
        known = self._known.get(scope)
        if known is not None and _newer(fence, known[0]) != fence:
            return
        self._known[scope] = (fence, route)
        self._known.move_to_end(scope)
        if len(self._known) > MOST:
            self._known.popitem(last=False)


def _newer(fence: str | None, other: str | None) -> str | None:
    """The one of the higher revision; `fence` if they are equal in that, None is the oldest."""
    if other is None:
        return fence
    return other if fence is None or revision_of(fence) < revision_of(other) else fence
