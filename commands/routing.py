"""The commands that change routes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from commands.model import Command, register
from commands.scope import ResourceKind, Scope

ConfigValue = str | int | float | bool | list[str]
RouteConfig = dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], ConfigValue]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
Actor = Annotated[str, Field(min_length=1, max_length=200)]


class RouteCommand(Command):
    """A change of one scope's route; changes of one route take effect in accepted order."""

    resource_kind: ResourceKind
    reason: Reason = Field(description="Why; it stands in the audit trail.")
    actor: Actor = Field(description="Who; it stands in the audit trail.")
    if_revision: int | None = Field(
        None, ge=0, description="Change only this revision; 0: only if there is no route."
    )

    @property
    def scope(self) -> Scope:
        return Scope(kind=self.resource_kind, tenant_id=self.tenant_id, env=self.env)

    @property
    def order_key(self) -> str | None:
        return f"routing:{self.resource_kind}"

    @property
    def subject(self) -> str:
        return str(self.resource_kind)


@register
class SetRoute(RouteCommand):
    """Create a route, or change the config of the one that is there on the same backend."""

    op: Literal["routing.set"] = "routing.set"
    backend_type: str = Field(min_length=1, max_length=64)
    config: RouteConfig = Field(default_factory=dict)


@register
class SwitchRoute(RouteCommand):
    """Point an existing route at another backend or place."""

    op: Literal["routing.switch"] = "routing.switch"
    backend_type: str = Field(min_length=1, max_length=64)
    config: RouteConfig = Field(default_factory=dict)


@register
class DeleteRoute(RouteCommand):
    """Remove a route; commands of its scope then fail with ROUTE_NOT_FOUND."""

    op: Literal["routing.delete"] = "routing.delete"
