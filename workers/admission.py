"""May this command run on the backend that its route names? Asked for each, before any effect."""

from __future__ import annotations

from adapters.catalogue import find_backend
from commands.scope import Mode
from routing.guard import check_mode
from workers.stage import Admitted, Routed


def admit(routed: Routed) -> Admitted:
    """Let the command through, or raise BackendNotImplemented, UnknownBackend, ForbiddenBackend.

    A route is checked when it is set; it is checked again here, because the command has a mode
    of its own and because this worker's catalogue may be another than the operator's.
    """
    command, route = routed.claimed.command, routed.route
    backend = find_backend(route.scope.kind, route.backend_type)
    check_mode(route.scope, backend, route.mode, command.mode)
    mode = route.mode if route.mode is not Mode.LAB else command.mode
    return Admitted(routed.claimed, route, backend, mode)
