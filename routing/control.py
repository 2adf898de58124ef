"""Route commands, run against the registry: from the queue or from the command line."""

from __future__ import annotations

from typing import Any

from commands.error import UnknownCommand
from commands.routing import DeleteRoute, RouteCommand, SetRoute, SwitchRoute
from routing.registry import Registry


def apply(command: RouteCommand, registry: Registry) -> dict[str, Any]:
    """Make the change; the route as it is then. A repeat of the command changes nothing more.

    Raises what `Registry.set`, `switch` and `delete` raise.
    """
    if isinstance(command, SetRoute | SwitchRoute):
        change = registry.set if isinstance(command, SetRoute) else registry.switch
        route = change(
            command.scope,
            command.backend_type,
            command.config,
            mode=command.mode,
            actor=command.actor,
            reason=command.reason,
            change_id=command.ref,
            if_revision=command.if_revision,
        )
        return route.model_dump(mode="json")
    if isinstance(command, DeleteRoute):
        registry.delete(
            command.scope,
            actor=command.actor,
            reason=command.reason,
            change_id=command.ref,
            if_revision=command.if_revision,
        )
        return {"deleted": command.scope.field}
    raise UnknownCommand(f"{command.op} changes no route", next_step="use set, switch or delete")
