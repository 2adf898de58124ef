"""What the event of a refused change records, without possible credentials."""

from __future__ import annotations

from typing import Any

from signalbox.adapters.catalogue import find_backend
from signalbox.commands.error import RoutingError
from signalbox.commands.scope import Scope


def without_credentials(scope: Scope, target: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the requested target, without the config's values if the backend refuses the config.

    A config that its backend does not accept, or of an unknown backend, may hold a credential,
    which must not be stored in the audit trail. Only the names of its entries are recorded then.
    """
    if target is None:
        return None
    try:
        find_backend(scope.kind, target["backend_type"]).check_config(target["config"])
    except RoutingError:
        return target | {"config": dict.fromkeys(target["config"], "(not recorded)")}
    return target
