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
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget


def apply(command: RouteCommand, registry: Registry) -> dict[str, Any]:
    """Run the command and return the resulting route or lock as JSON data.

    A repeated command has no further effect.

    Raises what the methods of `Registry` and `LockRegistry` raise.
    """
    scope = command.scope
    change = Change(actor=command.actor, reason=command.reason, change_id=command.ref)
    token = command.lock_token
    match command:
        case SetRoute() | SwitchRoute():
            method = registry.set if isinstance(command, SetRoute) else registry.switch
            target = RouteTarget(command.backend_type, command.config, command.mode)
            route = method(scope, target, change, if_revision=command.if_revision, lock_token=token)
            return route.model_dump(mode="json")
        case DeleteRoute():
            registry.delete(scope, change, if_revision=command.if_revision, lock_token=token)
            return {"deleted": scope.field}
        case LockRoute():
            return dict(
                registry.locks.lock(scope, command.ttl, change, lock_token=token).document()
            )
        case UnlockRoute():
            lock = registry.locks.unlock(scope, change, force=command.force, lock_token=token)
            return {"unlocked": lock.document() if lock else None}
    raise UnknownCommand(f"{command.op} changes no route", next_step="use set, switch or delete")
