"""HTTP API with tenant and env in headers: the route of a kind of data."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.error import Conflict, RouteExists, RouteNotFound
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope, check_env, check_tenant
from signalbox.gateway.answer import Json
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.change_author import AuthorDep
from signalbox.gateway.error import InvalidRequest
from signalbox.gateway.identity import authorize
from signalbox.gateway.registry_models import PreparedChange
from signalbox.gateway.request_context import (
    ServicesDep,
)
from signalbox.gateway.route_defaults import with_defaults
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, RouteTarget

router = APIRouter(route_class=BoundedRoute, tags=["first calls"])
_TRIES = 5
"""Maximum number of attempts while others change the route."""


class RouteRequest(BaseModel):
    """The backend for one kind of a tenant's data: sets the route, or switches an existing one."""

    model_config = ConfigDict(extra="forbid")

    resource_kind: ResourceKind
    backend_type: str = Field(min_length=1, max_length=64)
    config: RouteConfig = Field(default_factory=dict)
    tenant_id: str | None = Field(None, description="Left out: that of X-Tenant-Id.")
    env: str | None = Field(None, description="Left out: X-Env, or dev.")
    mode: Mode | None = Field(None, description="Left out: X-Mode, or lab.")
    reason: str | None = Field(
        None, min_length=1, max_length=500, description="Left out: the request line."
    )


@router.post("/routing/routes", response_model=Route | PreparedChange)
async def set_or_switch(
    body: RouteRequest,
    request: Request,
    services: ServicesDep,
    author: AuthorDep,
    tenant: Annotated[str | None, Header(alias="X-Tenant-Id")] = None,
    env: Annotated[str, Header(alias="X-Env")] = "dev",
    mode: Annotated[Mode, Header(alias="X-Mode")] = Mode.LAB,
) -> Response:
    """Create the route, or switch the existing one to this backend and config."""
    named = body.tenant_id or tenant
    if named is None:
        raise InvalidRequest(
            "the request names no tenant",
            next_step="send tenant_id in the body, or the header X-Tenant-Id",
        )
    scope = Scope(
        kind=body.resource_kind, tenant_id=check_tenant(named), env=check_env(body.env or env)
    )
    for op in ("routing.set", "routing.switch"):
        authorize(request, op, scope.tenant_id, scope.env)
    config = with_defaults(body.backend_type, body.config, services.own)
    reason = body.reason or f"{request.method} {request.url.path}"
    change = author.change(reason, scope, body)
    target = RouteTarget(body.backend_type, config, body.mode or mode)
    route = await services.call(
        lambda: set_or_switch_route(services.registry, scope, target, change)
    )
    return Json(route.model_dump(mode="json"))


def set_or_switch_route(
    registry: Registry, scope: Scope, target: RouteTarget, change: Change
) -> Route:
    """Set the route, or switch the one that is there. Raises the errors of both, and Conflict."""
    for _ in range(_TRIES):
        try:
            method = registry.set if registry.get(scope) is None else registry.switch
            return method(scope, target, change)
        except (RouteExists, RouteNotFound):
            continue  # another change came in between
    raise Conflict(
        "others change this route again and again",
        kind=scope.kind,
        tenant_id=scope.tenant_id,
        env=scope.env,
        next_step="look at it, and decide anew",
    )
