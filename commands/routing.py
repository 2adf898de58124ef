"""The commands about routes: change, lock and try them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from signalbox.commands.error import ErrorDetail
from signalbox.commands.model import Command, register
from signalbox.commands.result import Result, Returns
from signalbox.commands.scope import ResourceKind, Scope

ConfigValue = str | int | float | bool | list[str]
RouteConfig = dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], ConfigValue]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
Actor = Annotated[str, Field(min_length=1, max_length=200)]


class ProbeStep(Result):
    name: str
    milliseconds: float


class ProbeResult(Result):
    """How the backend did; the steps up to the one that failed."""

    backend_type: str
    revision: int | None = Field(description="Of the route; None for another target.")
    steps: list[ProbeStep]
    error: ErrorDetail | None = None

    @property
    def healthy(self) -> bool:
        return self.error is None


class ControlCommand(Command):
    """A command about one scope's route, not about what is stored behind it."""

    resource_kind: ResourceKind

    @property
    def scope(self) -> Scope:
        return Scope(kind=self.resource_kind, tenant_id=self.tenant_id, env=self.env)

    @property
    def order_key(self) -> str | None:
        return f"routing:{self.resource_kind}" if self.writes else None

    @property
    def subject(self) -> str:
        return str(self.resource_kind)


class RouteCommand(ControlCommand):
    """A change of a route or its lock; changes of one route take effect in accepted order."""

    reason: Reason = Field(description="Why; it stands in the audit trail.")
    actor: Actor = Field(description="Who; it stands in the audit trail.")
    lock_token: int | None = Field(
        None, ge=1, description="Change only while this strategy lock is held: LOCK_LOST else."
    )


class RouteChange(RouteCommand):
    """A change of the route itself."""

    if_revision: int | None = Field(
        None, ge=0, description="Change only this revision; 0: only if there is no route."
    )


@register
class SetRoute(RouteChange):
    """Create a route, or change the config of the one that is there on the same backend."""

    op: Literal["routing.set"] = "routing.set"
    backend_type: str = Field(min_length=1, max_length=64)
    config: RouteConfig = Field(default_factory=dict)


@register
class SwitchRoute(RouteChange):
    """Point an existing route at another backend or place."""

    op: Literal["routing.switch"] = "routing.switch"
    backend_type: str = Field(min_length=1, max_length=64)
    config: RouteConfig = Field(default_factory=dict)


@register
class DeleteRoute(RouteChange):
    """Remove a route; commands of its scope then fail with ROUTE_NOT_FOUND."""

    op: Literal["routing.delete"] = "routing.delete"


@register
class LockRoute(RouteCommand):
    """Take a route's strategy lock, or renew it: no one else changes the route then."""

    op: Literal["routing.lock"] = "routing.lock"
    ttl: timedelta = Field(ge=timedelta(seconds=1), le=timedelta(days=7))


@register
class UnlockRoute(RouteCommand):
    """Give a route's strategy lock back, or with `force` take it from whoever holds it."""

    op: Literal["routing.unlock"] = "routing.unlock"
    force: bool = False


@register
class ProbeRoute(ControlCommand, Returns[ProbeResult]):
    """Try the backend of a route, or one that it might be switched to: write, read, compare and
    delete under a reserved name."""

    writes = False
    op: Literal["routing.probe"] = "routing.probe"
    backend_type: str | None = Field(
        None, min_length=1, max_length=64, description="None: the route as it is."
    )
    config: RouteConfig = Field(default_factory=dict, description="Of that backend.")

    @model_validator(mode="after")
    def _config_has_a_backend(self) -> ProbeRoute:
        if self.config and self.backend_type is None:
            raise ValueError("a config needs its backend_type")
        return self
