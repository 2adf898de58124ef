"""`set` leaves a route's data where they are: another backend or location takes `switch`."""

from __future__ import annotations

import json
import shlex

from signalbox.adapters.catalogue import find_backend
from signalbox.commands.error import InvalidRouteConfig, RouteExists
from signalbox.commands.scope import Scope
from signalbox.routing.route import Route, RouteTarget


def check_location(scope: Scope, before: Route, target: RouteTarget) -> None:
    """Raise RouteExists if `target` may lead to other data than the route does."""
    differs = _difference(scope, before, target)
    if differs:
        raise RouteExists(
            f"the route is there, and setting it would leave its data behind: {differs}",
            kind=scope.kind,
            tenant_id=scope.tenant_id,
            env=scope.env,
            backend_type=before.backend_type,
            next_step=f"to move the route on purpose: {_switch(scope, target)}; with --dry-run it "
            "says first what would stay behind",
        )


def _difference(scope: Scope, before: Route, target: RouteTarget) -> str:
    if before.backend_type != target.backend_type:
        return f"it is on {before.backend_type}, and {target.backend_type} was asked for"
    backend = find_backend(scope.kind, before.backend_type)
    asked = backend.location(target.config)
    try:
        held = backend.location(before.config)
    except InvalidRouteConfig:
        return "its config cannot be read by this release, so where its data are is not known"
    return "; ".join(
        f"{name} is {held[name]!r}, and {value!r} was asked for"
        for name, value in asked.items()
        if value != held[name]
    )


def _switch(scope: Scope, target: RouteTarget) -> str:
    """The command of the command line; a config that was checked holds no credential."""
    config = [
        f"-c {shlex.quote(f'{name}={value if isinstance(value, str) else json.dumps(value)}')}"
        for name, value in target.config.items()
    ]
    where = f"-t {scope.tenant_id} -e {scope.env} -m {target.mode}"
    return " ".join(
        [
            f"signalbox routes switch {scope.kind} {target.backend_type} {where}",
            *config,
            "--reason <text>",
        ]
    )
