"""The checks of a route change, in order: lock, revision, backend, mode, config and policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signalbox.adapters.catalogue import find_backend
from signalbox.commands.error import Conflict, RouteExists
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, Scope
from signalbox.routing.policy.mode_check import check_mode
from signalbox.routing.policy.policy import check_place
from signalbox.routing.registry.event import Kind
from signalbox.routing.registry.event_log import Decide, Draft, Seen, Wanted
from signalbox.routing.registry.lock import check_lock
from signalbox.routing.route import Route, no_route, route_after


@dataclass(frozen=True)
class Target:
    """The backend and config that a route change asks for."""

    kind: Kind
    """`set` or `switched`."""
    backend_type: str
    """Name of the backend, such as `s3`."""
    config: RouteConfig
    """Config of the backend."""
    mode: Mode
    """Mode of the route."""

    def document(self) -> dict[str, Any]:
        """The target as JSON data, for events."""
        return {
            "backend_type": self.backend_type,
            "config": self.config,
            "mode": self.mode.value,
        }


def pointing(wanted: Wanted, scope: Scope, target: Target, if_revision: int | None) -> Decide:
    """Return the decision function of a route change; see `Registry.set` for its errors."""

    def decide(seen: Seen) -> Draft | None:
        check_lock(scope, seen.lock, wanted.actor, wanted.lock_token)
        before = seen.route
        check_revision(scope, if_revision, before)
        backend = find_backend(scope.kind, target.backend_type)
        check_mode(scope, backend, target.mode, seen.terms.mode)
        backend.check_config(target.config)
        backend.boundary(scope, target.config).check_named()
        check_place(scope, seen.terms, target.backend_type, target.config)
        if target.kind == "switched" and before is None:
            raise no_route(scope)
        if target.kind == "set" and before and before.backend_type != target.backend_type:
            raise RouteExists(
                f"{scope} is routed to {before.backend_type}",
                next_step="use `signalbox routes switch` to move it to another backend",
            )
        if before is not None and _same(before, target.document()):
            return None
        return Draft(
            target.kind,
            "set",
            before.target() if before else None,
            target.document(),
            lambda event: route_after(scope, event).model_dump_json(),
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


def _same(before: Route, target: dict[str, Any]) -> bool:
    return target == {
        "backend_type": before.backend_type,
        "config": before.config,
        "mode": before.mode.value,
    }
