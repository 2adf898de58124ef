"""The commands that change, lock and probe routes."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.model import Command, register
from signalbox.commands.result import Result, Returns
from signalbox.commands.scope import ResourceKind, Scope

ConfigValue = str | int | float | bool | list[str]
RouteConfig = dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], ConfigValue]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
Actor = Annotated[str, Field(min_length=1, max_length=200)]


class ProbeStep(Result):
    """One step of a probe."""

    name: str
    """What was done, such as `write`."""
    milliseconds: float
    """How long it took."""


class ProbeResult(Result):
    """The answer to a probe."""

    backend_type: str
    """Backend that was tested."""
    revision: int | None
    """Revision of the route; None if another backend was tested."""
    steps: list[ProbeStep]
    """The steps, up to the one that failed."""
    error: ErrorDetail | None = None
    """Why the last step failed; None if all succeeded."""

    @property
    def healthy(self) -> bool:
        """True if every step succeeded."""
        return self.error is None


class ControlCommand(Command):
    """A command about the route of a scope, not about the data stored by it."""

    resource_kind: ResourceKind
    """Kind of resource whose route the command concerns."""

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
    """A change of a route or its lock. Changes of the same route take effect in accepted order."""

    reason: Reason
    """Why the change is made; recorded in the audit trail."""
    actor: Actor
    """Who makes the change; recorded in the audit trail."""
    lock_token: int | None = Field(None, ge=1)
    """Change only while the strategy lock with this token is held, else LOCK_LOST."""


class RouteChange(RouteCommand):
    """A change of the route itself."""

    if_revision: int | None = Field(None, ge=0)
    """Change only if the route has this revision (0: does not exist), else CONFLICT."""


@register
class SetRoute(RouteChange):
    """Create a route, or change credentials and tuning of one whose data stay where they are."""

    op: Literal["routing.set"] = "routing.set"
    backend_type: str = Field(min_length=1, max_length=64)
    """Name of the backend, such as `s3`."""
    config: RouteConfig = Field(default_factory=dict)
    """Config of the backend, such as bucket and region; never a credential."""


@register
class SwitchRoute(RouteChange):
    """Change an existing route to another backend or config."""

    op: Literal["routing.switch"] = "routing.switch"
    backend_type: str = Field(min_length=1, max_length=64)
    """Name of the backend, such as `s3`."""
    config: RouteConfig = Field(default_factory=dict)
    """Config of the backend, such as bucket and region; never a credential."""


@register
class DeleteRoute(RouteChange):
    """Delete a route; commands of its scope then fail with ROUTE_NOT_FOUND."""

    op: Literal["routing.delete"] = "routing.delete"


@register
class LockRoute(RouteCommand):
    """Take or renew a route's strategy lock, so that no one else can change the route."""

    op: Literal["routing.lock"] = "routing.lock"
    ttl: timedelta = Field(ge=timedelta(seconds=1), le=timedelta(days=7))
    """How long the lock is held, 1 second to 7 days."""


@register
class UnlockRoute(RouteCommand):
    """Release a route's strategy lock."""

    op: Literal["routing.unlock"] = "routing.unlock"
    force: bool = False
    """Release the lock even if someone else holds it."""


@register
class ProbeRoute(ControlCommand, Returns[ProbeResult]):
    """Test the backend of a route, or one that it might be switched to.

    The probe writes, reads, compares and deletes an item with a reserved name.
    """

    writes = False
    op: Literal["routing.probe"] = "routing.probe"
    backend_type: str | None = Field(None, min_length=1, max_length=64)
    """Backend to test; None tests the current route."""
    config: RouteConfig = Field(default_factory=dict)
    """Config of `backend_type`."""

    @model_validator(mode="after")
    def _config_has_a_backend(self) -> ProbeRoute:
        if self.config and self.backend_type is None:
            raise ValueError("a config needs its backend_type")
        return self
