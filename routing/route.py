"""A route: which backend holds one kind of data of one tenant in one environment."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from signalbox.adapters.catalogue import find_backend
from signalbox.commands.breaker_report import Place
from signalbox.commands.error import RouteNotFound
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, Scope
from signalbox.routing.event import TYPE_PREFIX, StreamEvent


class Route(BaseModel):
    """A scope's backend and its config, as the last change left them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Scope
    backend_type: str
    config: RouteConfig
    mode: Mode
    revision: int = Field(description="Revision of the event that made it so.")
    hash: str = Field(description="Hash of that event.")
    updated_at: datetime
    updated_by: str
    reason: str

    @property
    def fence(self) -> str:
        """What a claim reads and a cached route must equal; see `fence_of`."""
        return fence_of(self.revision, self.hash)

    @cached_property
    def place(self) -> Place:
        """What fails together: the routes of one config, or this scope alone."""
        config = json.dumps(self.config, sort_keys=True)
        backend = find_backend(self.scope.kind, self.backend_type)
        return self.backend_type, config, self.scope.field if backend.scopes_fail_alone else ""

    def target(self) -> dict[str, Any]:
        """Where it points, for events: what `before` and `after` carry."""
        return {
            "backend_type": self.backend_type,
            "config": self.config,
            "mode": self.mode.value,
            "revision": self.revision,
        }


def fence_of(revision: int, digest: str) -> str:
    """Revision and hash: after a lost failover a revision can come again, the hash cannot."""
    return f"{revision}-{digest[:16]}"


def revision_of(fence: str) -> int:
    return int(fence.partition("-")[0])


def no_route(scope: Scope) -> RouteNotFound:
    """The error of a scope without a route, with the command that configures one."""
    return RouteNotFound(
        f"No route configured for {scope}",
        kind=scope.kind,
        tenant_id=scope.tenant_id,
        env=scope.env,
        next_step=f"Configure one with: signalbox routes set {scope.kind} <backend> "
        f"-t {scope.tenant_id} -e {scope.env} -c <key>=<value> --reason <text>",
    )


def route_after(scope: Scope, event: StreamEvent) -> Route:
    target = event.data.after or {}
    return Route(
        scope=scope,
        backend_type=target["backend_type"],
        config=target["config"],
        mode=Mode(target["mode"]),
        revision=event.revision,
        hash=event.hash,
        updated_at=event.time,
        updated_by=event.data.actor,
        reason=event.data.reason,
    )


def route_of(event: StreamEvent) -> tuple[Scope, Route | None] | None:
    """The scope's route after this event; None if the event changed none."""
    if event.type.removeprefix(TYPE_PREFIX) not in ("set", "switched", "deleted"):
        return None
    scope = Scope.from_field(event.subject)
    return scope, route_after(scope, event) if event.data.after else None
