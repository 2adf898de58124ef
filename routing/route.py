"""A route: which backend holds one kind of data of one tenant in one environment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from pydantic import ConfigDict, Field

from signalbox.adapters.catalogue import find_backend
from signalbox.commands.breaker_report import FailureDomain
from signalbox.commands.documented import Documented
from signalbox.commands.error import RouteNotFound
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, Scope
from signalbox.routing.registry.event import TYPE_PREFIX, StreamEvent


@dataclass(frozen=True)
class RouteTarget:
    """What a route is set to: a backend, its config and a mode."""

    backend_type: str
    """Name of the backend, such as `s3`."""
    config: RouteConfig
    """Config of the backend, such as bucket and region; never a credential."""
    mode: Mode
    """Mode of the route; the strictest of this, the policy's and the command's mode applies."""

    def document(self) -> dict[str, Any]:
        """The target as JSON data, for events."""
        return {
            "backend_type": self.backend_type,
            "config": self.config,
            "mode": self.mode.value,
        }


class Route(Documented):
    """The backend of one scope and its config, as they were last set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Scope
    """Kind, tenant and env that the route is for."""
    backend_type: str
    """Name of the backend, such as `s3`."""
    config: RouteConfig
    """Config of the backend, such as bucket and region; never a credential."""
    mode: Mode
    """Mode of the route; the strictest of this, the policy's and the command's mode applies."""
    revision: int
    """Revision of the event that set the route."""
    hash: str
    """Hash of that event."""
    updated_at: datetime
    """When the route was set."""
    updated_by: str
    """Who set it."""
    reason: str
    """Why, in their words."""
    proof: str | None = Field(None, exclude_if=lambda proof: proof is None)
    """The signature of who set it (docs/adr/0006-proof.md); None without a trust file."""

    @property
    def subject(self) -> str:
        """The `subject` of its events."""
        return self.scope.field

    @property
    def fence(self) -> str:
        """The fence of this version of the route, which a claim compares; see `fence_of`."""
        return fence_of(self.revision, self.hash)

    @cached_property
    def failure_domain(self) -> FailureDomain:
        """Key of the circuit breaker: backend, config, and the scope if scopes fail alone."""
        config = json.dumps(self.config, sort_keys=True)
        backend = find_backend(self.scope.kind, self.backend_type)
        return self.backend_type, config, self.scope.field if backend.scopes_fail_alone else ""

    @property
    def target(self) -> RouteTarget:
        """What the route is set to."""
        return RouteTarget(self.backend_type, self.config, self.mode)

    def document(self) -> dict[str, Any]:
        """Backend, config, mode and revision as JSON data: `before` and `after` of an event."""
        return self.target.document() | {"revision": self.revision}


def fence_of(revision: int, digest: str) -> str:
    """Return `revision-hash`. After a lost failover a revision may recur, a hash cannot."""
    return f"{revision}-{digest[:16]}"


def revision_of(fence: str) -> int:
    """Return the revision of a fence; -1, which is older than any, if it is none."""
    revision = fence.partition("-")[0]
    return int(revision) if revision.isdecimal() and len(revision) < 20 else -1


def no_route(scope: Scope) -> RouteNotFound:
    """Return the error for a scope without a route; it names the command that sets one."""
    return RouteNotFound(
        f"No route configured for {scope}",
        kind=scope.kind,
        tenant_id=scope.tenant_id,
        env=scope.env,
        next_step=f"Configure one with: signalbox routes set {scope.kind} <backend> "
        f"-t {scope.tenant_id} -e {scope.env} -c <key>=<value> --reason <text>",
    )


def route_after(scope: Scope, event: StreamEvent) -> Route:
    """Return the route that a `set` or `switched` event made."""
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
        proof=event.proof,
    )


def route_of(event: StreamEvent) -> tuple[Scope, Route | None] | None:
    """Return the scope and its route after this event; None if the event changed no route."""
    if event.type.removeprefix(TYPE_PREFIX) not in ("set", "switched", "deleted"):
        return None
    scope = Scope.from_field(event.subject)
    return scope, route_after(scope, event) if event.data.after else None
