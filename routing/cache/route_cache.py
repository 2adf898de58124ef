"""Cache of routes and policies in a worker's memory.

An entry is used only if its fence equals the one that the claim just read, so a stale entry is
never used. The tail of the route log keeps entries current, so that most claims find theirs here.

The registry has lost changes if a fence is older than one that this process has seen, if its head
(read with each claim) went back or belongs to an earlier epoch, or if the log was rewritten, which
the tail detects. Every command is then refused until the registry has caught up or was rebased.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from copy import copy

from signalbox.commands.error import (
    RegistryRegressed,
    RegistryUnproven,
    RegistryUnreadable,
    SignalboxError,
)
from signalbox.commands.scope import Scope
from signalbox.routing.cache.fenced_cache import FencedCache, Regression
from signalbox.routing.cache.principals import Principals
from signalbox.routing.policy.policy import FREE, Policy, Terms
from signalbox.routing.registry.policy_registry import PolicyRegistry
from signalbox.routing.registry.records import Position
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, no_route

_NEXT = (
    "see what it lost (`signalbox audit verify --archive`), set those routes again, then: "
    "signalbox routes rebase --reason <text>"
)


class RouteCache:
    """The routes and policies that this process has read from the registry. Thread-safe."""

    def __init__(self, registry: Registry, policies: PolicyRegistry | None = None) -> None:
        self._routes: FencedCache[Scope, Route | RegistryUnreadable] = FencedCache(
            registry.get_many, absence_is_read=registry.rosters is not None
        )
        self._policies: FencedCache[str, Policy | RegistryUnreadable] | None = (
            FencedCache(policies.get_many, absence_is_read=registry.rosters is not None)
            if policies
            else None
        )
        self.principals = Principals(registry.rosters) if registry.rosters is not None else None
        """The principals; None without a trust file."""
        self._lock = threading.Lock()
        self._position: Position | None = None
        self._lost: str | None = None
        self._roster: str | None = None
        """Fence of the roster by which what is cached was proven."""

    def resolve(self, scope: Scope, fence: str | None) -> Route:
        """Return the route of one scope; see `resolve_many`.

        Raises RouteNotFound, RegistryRegressed, RegistryUnreadable and StateUnavailable.
        """
        route: Route | SignalboxError | None = None
        if self._lost is None:
            route = self._routes.peek(scope, fence)
        if not isinstance(route, Route):
            route = self.resolve_many({scope: fence})[scope]
        if isinstance(route, SignalboxError):
            raise route
        return route

    def resolve_many(
        self, fences: Mapping[Scope, str | None]
    ) -> dict[Scope, Route | SignalboxError]:
        """Return for each scope a route at least as new as its fence, or the error.

        `fences` holds the fence that the claim read for each scope, None where a scope never had a
        route. Entries with another fence are read again, all in one round trip. Raises
        StateUnavailable.
        """
        if self._lost is not None:
            return {scope: _regressed(scope, self._lost) for scope in fences}
        found: dict[Scope, Route | SignalboxError] = {}
        for scope, route in self._routes.get_many(fences).items():
            if isinstance(route, Regression):
                found[scope] = _regressed(scope, _went_back("the route", route))
            elif isinstance(route, RegistryUnreadable):
                found[scope] = copy(route)  # kept for all, and each command's end is its own
            else:
                found[scope] = route or no_route(scope)
        return found

    def terms_many(self, fences: Mapping[str, str | None]) -> dict[str, Terms | SignalboxError]:
        """Return for each tenant terms at least as new as its policy's fence, or the error.

        `fences` is as for `resolve_many`. Raises StateUnavailable.
        """
        if self._policies is None:
            return dict.fromkeys(fences, FREE)
        found: dict[str, Terms | SignalboxError] = {}
        for tenant_id, policy in self._policies.get_many(fences).items():
            if isinstance(policy, Regression):
                message = _went_back("the policy", policy)
                found[tenant_id] = RegistryRegressed(message, tenant_id=tenant_id, next_step=_NEXT)
            elif isinstance(policy, RegistryUnreadable):
                found[tenant_id] = copy(policy)
            else:
                found[tenant_id] = policy.terms if policy else FREE
        return found

    @property
    def position(self) -> Position | None:
        """The registry's newest position that this process has seen; read it before a claim."""
        return self._position

    def enter(
        self, read: str | None, seen: Position | None
    ) -> RegistryRegressed | RegistryUnproven | None:
        """Record the position that a claim read; return an error if the registry went back.

        `read` is the position as change.lua writes it, `seen` is `position` from before the claim
        was sent. A registry behind `seen` has lost changes, even where no fence shows it. An
        operator begins a later epoch with a rebase; positions of earlier epochs are not compared
        with it.

        Where changes are signed, a new position is a reason to look whether the roster changed, and
        is not remembered before the log has proven it. RegistryUnproven if the roster does not
        count. Raises StateUnavailable.
        """
        now = Position.parse(read) if read is not None else None
        if seen is not None and (now is None or now.lost(seen)):
            reason = f"the registry is at {now or 'nothing'}, this worker has seen {seen}"
            # Until the tail has looked: further changes would soon hide that some were lost.
            self.distrust(reason)
            return RegistryRegressed(reason, next_step=_NEXT)
        if self.principals is not None:
            return self._look(self.principals, read)
        if now is not None:
            self.reach(now)
        return None

    def _look(self, principals: Principals, read: str | None) -> RegistryUnproven | None:
        try:
            fence = principals.at(read).roster.fence
        except RegistryUnproven as error:
            return error
        if self._roster not in (None, fence):
            # What is cached was proven by the former roster. Read again, it costs a round trip.
            self.forget()
        self._roster = fence
        return None

    def reach(self, now: Position) -> None:
        """Record a position of the registry; one older than the known position is ignored."""
        with self._lock:
            known = self._position
            if known is not None and now.lost(known):
                return
            self._position = now
        if known is not None and known.epoch != now.epoch:
            self._begin_anew()

    def learn(self, scope: Scope, fence: str, route: Route | None) -> None:
        """Store a route from the event log, None if it was deleted; a newer entry is kept."""
        self._routes.learn(scope, fence, route)

    def learn_policy(self, policy: Policy, fence: str) -> None:
        """Store a policy from the event log; a newer entry is kept."""
        if self._policies is not None:
            self._policies.learn(policy.tenant_id, fence, policy)

    def forget(self) -> None:
        """Drop all values after a gap in the log; keep their revisions to detect a regression."""
        self._routes.forget()
        if self._policies is not None:
            self._policies.forget()

    def distrust(self, reason: str) -> None:
        """Refuse every command from now on: the registry lost changes, and it is unknown which."""
        self._lost = reason

    @property
    def distrusted(self) -> bool:
        """True while every command is refused."""
        return self._lost is not None

    def trust(self, now: Position | None) -> None:
        """Accept commands again: the log continues from the last known event and is at `now`."""
        with self._lock:
            known, self._position = self._position, now
        if known is not None and now is not None and known.epoch != now.epoch:
            self._begin_anew()
        self._lost = None

    def _begin_anew(self) -> None:
        self._routes.reset()
        if self._policies is not None:
            self._policies.reset()
        self._lost = None


def _went_back(what: str, regression: Regression) -> str:
    return f"{what} was at {regression.seen}, and is at {regression.now} now"


def _regressed(scope: Scope, message: str) -> RegistryRegressed:
    return RegistryRegressed(
        message,
        kind=scope.kind,
        tenant_id=scope.tenant_id,
        env=scope.env,
        next_step=_NEXT,
    )
