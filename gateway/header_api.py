"""HTTP API with tenant and env in headers: put, get, upsert, ingest and append."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.metrics_store import IngestPoints, Labels, Point
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.tabular_store import UpsertRow
from signalbox.commands.timestamp import Timestamp
from signalbox.commands.value import TypedData
from signalbox.gateway import object_parameters
from signalbox.gateway.answer import Json, accepted, answer_write, headers_of, run_put
from signalbox.gateway.body import BoundedRoute, content_of, declared_of
from signalbox.gateway.content import answer_content
from signalbox.gateway.error import InvalidRequest
from signalbox.gateway.object_parameters import BYTES, NOT_MODIFIED
from signalbox.gateway.objects import check_before, media_type_of
from signalbox.gateway.request_context import (
    AfterHeader,
    HeaderCallerDep,
    ServicesDep,
    WriteOptionsDep,
)
from signalbox.gateway.result_models import UriAnswer, written
from signalbox.gateway.url_text import NamePart, utf8

# The ids of operations in the OpenAPI document begin with the tag.
router = APIRouter(route_class=BoundedRoute, tags=["first calls"])


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


@router.post(
    "/nexus/raw/put",
    response_model=UriAnswer,
    openapi_extra=object_parameters.PUT,
)
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


@router.get(
    "/nexus/raw/get",
    response_class=Response,
    responses={200: BYTES, 206: BYTES, 304: NOT_MODIFIED},
    openapi_extra=object_parameters.GET,
)
async def get(
    request: Request,
    caller: HeaderCallerDep,
    services: ServicesDep,
    key: Annotated[str, Query(description="Object key.")],
    after: AfterHeader = None,
) -> Response:
    """Return the bytes under a key."""
    return await answer_content(request, services, GetObject(**caller.fields, key=key), after)


@router.post("/storage/tabular/{table}/upsert", response_model=written(UpsertRow))
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


@router.post("/storage/metrics/{series}/ingest", response_model=written(IngestPoints))
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


@router.post("/storage/timeline/{stream}/append", response_model=written(AppendEvent))
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
