"""HTTP API with tenant and env in headers: route, put, get, upsert, ingest and append."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path as Folder
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.error import Conflict, InvalidRouteConfig, RouteExists, RouteNotFound
from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.metrics_store import IngestPoints, Labels, Point
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope, check_env, check_tenant
from signalbox.commands.tabular_store import UpsertRow
from signalbox.commands.timestamp import Timestamp
from signalbox.commands.value import TypedData
from signalbox.gateway.answer import Json, accepted, answer_write, headers_of, run_put
from signalbox.gateway.body import BoundedRoute, content_of, declared_of
from signalbox.gateway.change_author import AuthorDep
from signalbox.gateway.content import answer_content
from signalbox.gateway.error import InvalidRequest
from signalbox.gateway.identity import authorize
from signalbox.gateway.objects import BYTES, check_before, media_type_of
from signalbox.gateway.request_context import (
    AfterHeader,
    HeaderCallerDep,
    ServicesDep,
    WriteOptionsDep,
)
from signalbox.gateway.settings import GatewaySettings
from signalbox.gateway.url_text import NamePart, utf8
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, RouteTarget

# The ids of operations in the OpenAPI document begin with the tag.
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


class UpsertRequest(BaseModel):
    """A row."""

    model_config = ConfigDict(extra="forbid")

    table_name: str | None = Field(None, description="Left out, or that of the path.")
    key: str
    data: TypedData


class IngestRequest(BaseModel):
    """A point of the series that the path names."""

    model_config = ConfigDict(extra="forbid")

    value: float = Field(allow_inf_nan=False)
    timestamp: Timestamp | None = Field(None, description="Left out: now.")
    labels: Labels = Field(default_factory=dict)


class NamedStreamAppendRequest(BaseModel):
    """An event for the stream that the path names."""

    model_config = ConfigDict(extra="forbid")

    type: str
    data: TypedData = Field(default_factory=dict)
    id: str | None = None
    time: Timestamp | None = None


@router.post("/routing/routes")
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


def with_defaults(backend_type: str, config: RouteConfig, own: GatewaySettings) -> RouteConfig:
    """Return the config as it will be stored in the route, with the gateway's defaults."""
    full: RouteConfig = {**own.route_defaults.get(backend_type, {}), **config}
    if (
        backend_type == "s3"
        and "region" not in full
        and (r := os.environ.get("AWS_DEFAULT_REGION"))
    ):
        full["region"] = r
    folder = full.get("base_dir")
    if isinstance(folder, str) and folder and not os.path.isabs(folder):
        full["base_dir"] = str(_below(folder, own.base_dir))
    return full


def _below(folder: str, base: Folder | None) -> Folder:
    if base is None:
        raise InvalidRouteConfig(
            f"base_dir {folder[:200]!r} is relative, and the gateway has no folder for such",
            next_step="give the whole path, or have the operator set SIGNALBOX_GATEWAY_BASE_DIR",
        )
    if ".." in Folder(folder).parts or "\0" in folder:
        raise InvalidRouteConfig(
            f"base_dir {folder[:200]!r} leads out of the gateway's folder",
            next_step="leave out `..`",
        )
    return base.absolute() / folder


@router.post("/nexus/raw/put", openapi_extra={"requestBody": {"content": {"*/*": {}}}})
async def put(
    request: Request,
    caller: HeaderCallerDep,
    services: ServicesDep,
    writing: WriteOptionsDep,
    key: Annotated[str, Header(alias="X-Key", description="Object key, in UTF-8.")],
) -> Response:
    """Store the body under a key; return where it is stored."""
    fields = caller.fields | {
        "op_id": writing.op_id,
        "key": utf8(key, "the header X-Key"),
        "content_type": media_type_of(request),
    }
    size, sha256 = declared_of(request)
    check_before(services, fields, size)
    payload = await content_of(request, size, sha256)
    command = PutObject(**fields, payload=payload)
    outcome = await run_put(services, command, writing)
    if outcome is None:
        return accepted(command)
    result = outcome.result or {}
    headers = headers_of(outcome) | {"ETag": f'"{result["etag"]}"'}
    return Json({"uri": result["uri"]}, 200, headers)


@router.get("/nexus/raw/get", responses={200: BYTES, 206: BYTES})
async def get(
    request: Request,
    caller: HeaderCallerDep,
    services: ServicesDep,
    key: Annotated[str, Query(description="Object key.")],
    after: AfterHeader = None,
) -> Response:
    """Return the bytes under a key."""
    return await answer_content(request, services, GetObject(**caller.fields, key=key), after)


@router.post("/storage/tabular/{table}/upsert")
async def upsert(
    table: Annotated[NamePart, Path()],
    body: UpsertRequest,
    caller: HeaderCallerDep,
    services: ServicesDep,
    writing: WriteOptionsDep,
) -> Response:
    """Create a row, or replace all its columns."""
    if body.table_name not in (None, table):
        raise InvalidRequest(
            "table_name is another than the path's", next_step="leave it out of the body"
        )
    command = UpsertRow(
        **caller.fields, op_id=writing.op_id, table_name=table, key=body.key, data=body.data
    )
    return await answer_write(services, command, writing)


@router.post("/storage/metrics/{series}/ingest")
async def ingest(
    series: Annotated[NamePart, Path()],
    body: IngestRequest,
    caller: HeaderCallerDep,
    services: ServicesDep,
    writing: WriteOptionsDep,
) -> Response:
    """Store a point of a series."""
    point_ = Point(
        series=series,
        timestamp=body.timestamp or datetime.now(UTC),
        value=body.value,
        labels=body.labels,
    )
    command = IngestPoints(**caller.fields, op_id=writing.op_id, points=[point_])
    return await answer_write(services, command, writing)


@router.post("/storage/timeline/{stream}/append")
async def append(
    stream: Annotated[NamePart, Path()],
    body: NamedStreamAppendRequest,
    caller: HeaderCallerDep,
    services: ServicesDep,
    writing: WriteOptionsDep,
) -> Response:
    """Append an event to a stream."""
    event = Event(id=body.id, type=body.type, time=body.time, data=body.data)
    command = AppendEvent(**caller.fields, op_id=writing.op_id, stream=stream, event=event)
    return await answer_write(services, command, writing)
