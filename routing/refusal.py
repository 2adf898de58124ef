"""What the log says of a change that was refused, and what it must not say."""

from __future__ import annotations

from typing import Any

from signalbox.adapters.catalogue import find_backend
from signalbox.commands.error import RoutingError
from signalbox.commands.scope import Scope


def recordable(scope: Scope, target: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was asked for, with the config's names alone where no backend vouches for it.

    A config that its backend does not accept, or that has no backend, may hold a credential:
    refused for another reason (mode, revision), it would stand in the audit trail for ever.
    """
    if target is None:
        return None
    try:
        find_backend(scope.kind, target["backend_type"]).check_config(target["config"])
    except RoutingError:
        return target | {"config": dict.fromkeys(target["config"], "(not recorded)")}
    return target
