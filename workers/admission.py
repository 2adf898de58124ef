"""May this command run on the backend that its route names? Asked for each, before any effect."""

from __future__ import annotations

from adapters.catalogue import find_backend
from commands.scope import Mode
from routing.guard import check_mode
from routing.policy import check_place
from workers.stage import Admitted, Routed


def admit(routed: Routed) -> Admitted:
    """Let the command through, or raise BackendNotImplemented, UnknownBackend, ForbiddenBackend,
    PolicyForbids.

    A route is checked when it is set; it is checked again here, because the command has a mode
    of its own, because the tenant's policy may be newer than the route, and because this
    worker's catalogue may be another than the operator's.
    """
    command, route, terms = routed.claimed.command, routed.route, routed.terms
    backend = find_backend(route.scope.kind, route.backend_type)
    modes = (route.mode, terms.mode, command.mode)
    check_mode(route.scope, backend, *modes)
    check_place(route.scope, terms, route.backend_type, route.config)
    mode = next((mode for mode in modes if mode.sellable), Mode.LAB)
    return Admitted(routed.claimed, route, backend, mode, terms.quotas)
