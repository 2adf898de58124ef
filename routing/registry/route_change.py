"""The checks of a route change, in order: lock, revision, backend, mode, config and policy."""

from __future__ import annotations

from typing import Literal

from signalbox.adapters.catalogue import find_backend
from signalbox.commands.error import Conflict
from signalbox.commands.scope import Scope
from signalbox.routing.policy.mode_check import check_mode
from signalbox.routing.policy.policy import check_place
from signalbox.routing.registry.event_log import ChangeRequest, Decide, Draft, Seen
from signalbox.routing.registry.location import check_location
from signalbox.routing.registry.strategy_lock import check_lock
from signalbox.routing.route import Route, RouteTarget, no_route, route_after


def decision(
    kind: Literal["set", "switched"],
    scope: Scope,
    request: ChangeRequest,
    target: RouteTarget,
    if_revision: int | None,
    *,
    sign_again: bool = False,
) -> Decide:
    """Return the function that decides a route change; see `Registry.set` for its errors."""

    def decide(seen: Seen) -> Draft | None:
        check_lock(scope, seen.lock, request.change.actor, request.lock_token)
        before = seen.route
        check_revision(scope, if_revision, before)
        backend = find_backend(scope.kind, target.backend_type)
        check_mode(scope, backend, target.mode, seen.terms.mode)
        backend.check_config(target.config)
        backend.boundary(scope, target.config).check_named()
        check_place(scope, seen.terms, target.backend_type, target.config)
        if kind == "switched" and before is None:
            raise no_route(scope)
        if before is not None and before.target == target and not sign_again:
            return None
        if before is not None and kind == "set":
            check_location(scope, before, target)
        return Draft(
            kind,
            "set",
            before.document() if before else None,
            target.document(),
            lambda event: route_after(scope, event),
        )

    return decide


def check_revision(scope: Scope, if_revision: int | None, before: Route | None) -> None:
    """Raise Conflict if `if_revision` is given and is not the route's revision (0: no route)."""
    current = before.revision if before else 0
    if if_revision is not None and if_revision != current:
        raise Conflict(
            f"the route of {scope} is at revision {current}, not {if_revision}",
            next_step="look at it with `signalbox routes get`, and decide anew",
        )
