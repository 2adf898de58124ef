"""HTTP API for routes, like `signalbox routes`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.error import NotFound, OutcomePending, RouteNotFound
from signalbox.commands.ledger.lease import LATE_MS, POLL_SECONDS, Leases
from signalbox.commands.ledger.usage import UsageBook
from signalbox.commands.routing import Reason, RouteConfig
from signalbox.commands.scope import ResourceKind, Scope, check_tenant
from signalbox.gateway.answer import Json
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.change_author import AuthorDep
from signalbox.gateway.conditions import IfMatchHeader, IfNoneMatchHeader, is_absent, revision_of
from signalbox.gateway.registry_models import (
    DeletedRoute,
    DrainedRoute,
    PreparedChange,
    RouteHistory,
    RoutesPage,
)
from signalbox.gateway.request_context import CallerDep, ServicesDep, WaitDep
from signalbox.gateway.route_defaults import with_defaults
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, RouteTarget
from signalbox.routing.system_view import SystemView

router = APIRouter(prefix="/v1", route_class=BoundedRoute, tags=["routes"])

KindPart = Annotated[ResourceKind, Path()]
LockToken = Annotated[
    int | None, Field(ge=1, le=2**53, description="Change only while this lock is held.")
]


class SetRouteRequest(BaseModel):
    """The backend and config that the route is to have."""

    model_config = ConfigDict(extra="forbid")

    backend_type: str = Field(min_length=1, max_length=64)
    config: RouteConfig = Field(default_factory=dict)
    reason: Reason
    lock_token: LockToken = None


@router.get("/routes/{kind}", response_model=RoutesPage)
async def list_routes(
    kind: KindPart,
    services: ServicesDep,
    tenant: Annotated[str | None, Query(description="Only this tenant.")] = None,
    after: Annotated[str | None, Query(description="`next_after` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Return a page of routes of all tenants, with health, use and lock."""
    if tenant is not None:
        check_tenant(tenant)
    view = SystemView(services.registry, UsageBook(services.client.state))
    page = await services.call(lambda: view.page(kind, tenant_id=tenant, after=after, limit=limit))
    routes = [status.document() for status in page.statuses]
    document: dict[str, Any] = {"kind": kind, "routes": routes, "next_after": page.next_after}
    if page.unproven:
        document["unproven"] = [error.detail().model_dump() for error in page.unproven]
    return Json(document)


@router.get("/routes/{kind}/{tenant}/{env}", response_model=Route)
async def get_route(kind: KindPart, caller: CallerDep, services: ServicesDep) -> Response:
    """Return one route. Its ETag is its revision."""
    scope = scope_of(kind, caller)
    route = await services.call(lambda: services.registry.get(scope))
    if route is None:
        raise no_such_route(scope)
    return _answer(route)


@router.put("/routes/{kind}/{tenant}/{env}", response_model=Route | PreparedChange)
async def set_route(
    kind: KindPart,
    body: SetRouteRequest,
    caller: CallerDep,
    services: ServicesDep,
    author: AuthorDep,
    if_match: IfMatchHeader = None,
    if_none_match: IfNoneMatchHeader = None,
) -> Response:
    """Create a route, or change credentials and tuning of one whose data stay where they are."""
    scope, target = scope_of(kind, caller), _target(body, caller, services)
    change = author.change(body.reason, body)
    revision = 0 if is_absent(if_none_match) else revision_of(if_match)
    route = await services.call(
        lambda: services.registry.set(
            scope, target, change, if_revision=revision, lock_token=body.lock_token
        )
    )
    return _answer(route)


@router.post("/routes/{kind}/{tenant}/{env}/switch", response_model=Route | PreparedChange)
async def switch_route(
    kind: KindPart,
    body: SetRouteRequest,
    caller: CallerDep,
    services: ServicesDep,
    author: AuthorDep,
    if_match: IfMatchHeader = None,
) -> Response:
    """Switch an existing route to another backend or config, without interrupting traffic."""
    scope, target = scope_of(kind, caller), _target(body, caller, services)
    change = author.change(body.reason, body)
    revision = revision_of(if_match)
    try:
        route = await services.call(
            lambda: services.registry.switch(
                scope, target, change, if_revision=revision, lock_token=body.lock_token
            )
        )
    except RouteNotFound:
        raise no_such_route(scope) from None
    return _answer(route)


@router.delete("/routes/{kind}/{tenant}/{env}", response_model=DeletedRoute | PreparedChange)
async def delete_route(
    kind: KindPart,
    caller: CallerDep,
    services: ServicesDep,
    author: AuthorDep,
    reason: Annotated[str, Query(min_length=1, max_length=500)],
    lock_token: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    if_match: IfMatchHeader = None,
) -> Response:
    """Remove a route; commands of its scope then fail with ROUTE_NOT_FOUND."""
    scope = scope_of(kind, caller)
    change = author.change(reason)
    revision = revision_of(if_match)
    try:
        await services.call(
            lambda: services.registry.delete(
                scope, change, if_revision=revision, lock_token=lock_token
            )
        )
    except RouteNotFound:
        raise no_such_route(scope) from None
    return Json({"deleted": scope.field})


@router.get("/routes/{kind}/{tenant}/{env}/history", response_model=RouteHistory)
async def history(
    kind: KindPart,
    caller: CallerDep,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Return who changed a route, when, why, from what to what; refused changes too."""
    scope = scope_of(kind, caller)
    events = await services.call(lambda: services.registry.history(scope, limit))
    return Json({"events": [event.model_dump(mode="json") for event in events]})


@router.get("/routes/{kind}/{tenant}/{env}/drain", response_model=DrainedRoute)
async def drain(
    kind: KindPart, caller: CallerDep, services: ServicesDep, wait: WaitDep
) -> Response:
    """Wait until no command that is claimed now can still run on a former route."""
    scope = scope_of(kind, caller)

    leases, until = Leases(services.client.state, scope), time.monotonic() + wait.total_seconds()
    left = await services.call(lambda: leases.still(leases.held()))
    first = len(left)
    while left and time.monotonic() < until and not services.stopping.is_set():
        await asyncio.sleep(POLL_SECONDS)
        left = await services.call(partial(leases.still, left))
    if left:
        last = datetime.fromtimestamp((max(each.until for each in left) + LATE_MS) / 1000, UTC)
        raise OutcomePending(
            f"{len(left)} commands that were claimed before may still run on a former route",
            kind=scope.kind,
            tenant_id=scope.tenant_id,
            env=scope.env,
            next_step=f"copy nothing yet and ask again; it is over by {last:%H:%M:%S} UTC",
        )
    if first == 0 and not await services.call(lambda: _was_ever(services.registry, scope)):
        raise no_such_route(scope)  # a misspelled env must not look like a drained one
    return Json({"drained": scope.field, "waited_for": first})


def _was_ever(registry: Registry, scope: Scope) -> bool:
    return registry.get(scope) is not None or bool(registry.history(scope, 1))


def no_such_route(scope: Scope) -> NotFound:
    """Return the error for a request for the route itself.

    A command without a route has another (500).
    """
    return NotFound(
        f"No route configured for {scope}",
        kind=scope.kind,
        tenant_id=scope.tenant_id,
        env=scope.env,
        next_step="create it with PUT",
    )


def scope_of(kind: ResourceKind, caller: CallerDep) -> Scope:
    """Return the scope of a kind and a caller."""
    return Scope(kind=kind, tenant_id=caller.tenant_id, env=caller.env)


def _target(body: SetRouteRequest, caller: CallerDep, services: ServicesDep) -> RouteTarget:
    config = with_defaults(body.backend_type, body.config, services.own)
    return RouteTarget(body.backend_type, config, caller.mode)


def _answer(route: Route) -> Response:
    return Json(route.model_dump(mode="json"), 200, {"ETag": f'"{route.revision}"'})
