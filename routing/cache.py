"""Routes in a worker's memory. The fence makes them right, the tail only makes them fast.

An entry is used only if its fence is exactly the one that the claim just read from Redis, so a
stale route cannot be used, however late or lost its event is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

from commands.error import RegistryRegressed, SignalboxError
from commands.scope import Scope
from routing.registry import Registry
from routing.route import Route, no_route, revision_of

MOST = 100_000
"""Scopes kept; the one that was not asked for longest goes first."""


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
        missing: list[Scope] = []
        for scope, fence in fences.items():
            known = self._known.get(scope)
            if known is None or known[0] != fence:
                missing.append(scope)
            else:
                found[scope] = known[1] or no_route(scope)
        if missing:
            answers = self._registry.get_many(missing)
            for scope, (route, fence) in zip(missing, answers, strict=True):
                found[scope] = self._take(scope, fences[scope], fence, route)
        return found

    def learn(self, scope: Scope, fence: str, route: Route | None) -> None:
        """Take in what the event log says; an entry that is newer already stays."""
        with self._lock:
            known = self._known.get(scope)
            if known is None or known[0] is None or revision_of(known[0]) < revision_of(fence):
                self._keep(scope, fence, route)

    def forget(self) -> None:
        """Drop all: the log had a gap, so nothing is known of what is kept."""
        with self._lock:
            self._known.clear()

    def _take(
        self, scope: Scope, claimed: str | None, fence: str | None, route: Route | None
    ) -> Route | SignalboxError:
        if claimed is not None and (fence is None or revision_of(fence) < revision_of(claimed)):
            # The registry is older than it was at the claim: restored, or a replica that lost
            # changes was promoted. Nothing runs on what it says until it has caught up.
            return RegistryRegressed(
                f"the route was at {claimed} at the claim, and is at {fence} now",
                kind=scope.kind,
                tenant_id=scope.tenant_id,
                env=scope.env,
                next_step="look at `signalbox routes history`, and set the route again",
            )
        with self._lock:
            self._keep(scope, fence, route)
        return route or no_route(scope)

    def _keep(self, scope: Scope, fence: str | None, route: Route | None) -> None:
        self._known[scope] = (fence, route)
        self._known.move_to_end(scope)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
