"""Routes and policies in a worker's memory. The fences make them right, the tail makes them fast.

Three things show that the registry lost changes: a fence older than this process has seen, a
head (read with each claim) that went back or is of an epoch begun earlier, and a log that was
rewritten (which the tail finds). Nothing runs then, until the registry has caught up or was
rebased.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from copy import copy

from signalbox.commands.error import RegistryRegressed, RegistryUnreadable, SignalboxError
from signalbox.commands.scope import Scope
from signalbox.routing.fenced import FencedCache, Regression
from signalbox.routing.policies import Policies
from signalbox.routing.policy import FREE, Policy, Terms
from signalbox.routing.registry import Registry
from signalbox.routing.route import Route, no_route
from signalbox.routing.row import Position

_NEXT = (
    "see what it lost (`signalbox audit verify --archive`), set those routes again, then: "
    "signalbox routes rebase --reason <text>"
)


class RouteCache:
    """What this process knows of the registry. Thread-safe."""

    def __init__(self, registry: Registry, policies: Policies | None = None) -> None:
        self._routes: FencedCache[Scope, Route | RegistryUnreadable] = FencedCache(
            registry.get_many
        )
        self._policies: FencedCache[str, Policy | RegistryUnreadable] | None = (
            FencedCache(policies.get_many) if policies else None
        )
        self._lock = threading.Lock()
        self._position: Position | None = None
        self._lost: str | None = None

    def resolve(self, scope: Scope, fence: str | None) -> Route:
        """The route of one scope; see `resolve_many`. Raises RouteNotFound, RegistryRegressed."""
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
        """A route at least as new as the fence, or the error, for each scope.

        `fences` holds what the claim read: None where a scope never had a route. At most one
        round trip, for all whose entry has another fence. Raises StateUnavailable.
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
        """The terms of each tenant, at least as new as the fence of its policy; else as above."""
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
        """How far this process has seen the registry; to be asked before a claim is sent."""
        return self._position

    def enter(self, read: str | None, seen: Position | None) -> RegistryRegressed | None:
        """Note how far the registry is, as a claim read it; the error if it was further when
        that was sent (`seen`): whatever was lost since, no fence need show it.

        A later epoch is a history that an operator began: what was seen of the one before counts
        no more.
        """
        now = Position.parse(read) if read is not None else None
        if seen is not None and (now is None or now.lost(seen)):
            reason = f"the registry is at {now or 'nothing'}, this worker has seen {seen}"
            # Until the tail has looked: further changes would soon hide that some were lost.
            self.distrust(reason)
            return RegistryRegressed(reason, next_step=_NEXT)
        if now is not None:
            self.reach(now)
        return None

    def reach(self, now: Position) -> None:
        """Note how far the registry is; what is earlier than known is passed over."""
        with self._lock:
            known = self._position
            if known is not None and now.lost(known):
                return
            self._position = now
        if known is not None and known.epoch != now.epoch:
            self._begin_anew()

    def learn(self, scope: Scope, fence: str, route: Route | None) -> None:
        """Take in what the event log says; an entry that is newer already stays."""
        self._routes.learn(scope, fence, route)

    def learn_policy(self, policy: Policy, fence: str) -> None:
        if self._policies is not None:
            self._policies.learn(policy.tenant_id, fence, policy)

    def forget(self) -> None:
        """Drop what is kept, but not how new it was: the log had a gap."""
        self._routes.forget()
        if self._policies is not None:
            self._policies.forget()

    def distrust(self, reason: str) -> None:
        """Refuse everything: the registry lost changes, and no one knows which."""
        self._lost = reason

    @property
    def distrusted(self) -> bool:
        return self._lost is not None

    def trust(self, now: Position | None) -> None:
        """The log goes on where it was seen last, and is here now: refuse no more."""
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
