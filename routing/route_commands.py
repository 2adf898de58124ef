"""Runs route commands, from the queue or from the command line, against the registry."""

from __future__ import annotations

from typing import Any

from signalbox.commands.error import UnknownCommand
from signalbox.commands.routing import (
    DeleteRoute,
    LockRoute,
    RouteCommand,
    SetRoute,
    SwitchRoute,
    UnlockRoute,
)
from signalbox.routing.registry.registry import Registry


def apply(command: RouteCommand, registry: Registry) -> dict[str, Any]:
    """Run the command and return the resulting route or lock as JSON data.

    A repeated command has no further effect.

    Raises what the methods of `Registry` and `Locks` raise.
    """
    scope = command.scope
    who: dict[str, Any] = {
        "actor": command.actor,
        "reason": command.reason,
        "change_id": command.ref,
        "lock_token": command.lock_token,
    }
    match command:
        case SetRoute() | SwitchRoute():
            change = registry.set if isinstance(command, SetRoute) else registry.switch
            route = change(
                scope,
                command.backend_type,
                command.config,
                mode=command.mode,
                if_revision=command.if_revision,
                **who,
            )
            return route.model_dump(mode="json")
        case DeleteRoute():
            registry.delete(scope, if_revision=command.if_revision, **who)
            return {"deleted": scope.field}
        case LockRoute():
            return dict(registry.locks.lock(scope, command.ttl, **who).document())
        case UnlockRoute():
            lock = registry.locks.unlock(scope, force=command.force, **who)
            return {"unlocked": lock.document() if lock else None}
    raise UnknownCommand(f"{command.op} changes no route", next_step="use set, switch or delete")
