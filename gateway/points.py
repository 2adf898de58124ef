"""HTTP API for points of series: ingest and query."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.responses import Response

from signalbox.commands.metrics_store import (
    MAX_LABELS,
    MAX_POINTS,
    Aggregation,
    IngestPoints,
    Labels,
    Point,
    QueryPoints,
)
from signalbox.commands.name import LabelName
from signalbox.commands.timestamp import Timestamp
from signalbox.gateway.answer import answer_read, answer_write
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.request_context import AfterHeader, CallerDep, ServicesDep, WriteOptionsDep
from signalbox.gateway.result_models import read, written
from signalbox.gateway.url_text import NamePart

router = APIRouter(prefix="/v1", route_class=BoundedRoute, tags=["points"])

SeriesPart = Annotated[NamePart, Path(description="Series name; a `/` in it as %2F.")]


_DURATION = TypeAdapter(timedelta)


def _iso(value: Any) -> timedelta:
    # Of 5m, a reader of durations says that its days are not well-formed.
    try:
        if isinstance(value, str) and value.lstrip("+-").startswith("P"):
            return _DURATION.validate_python(value)
    except ValidationError:
        pass
    raise ValueError("a duration is written like PT5M")


Window = Annotated[timedelta, BeforeValidator(_iso), Field(ge=timedelta(milliseconds=1))]


class PointsRequest(BaseModel):
    """Points to store."""

    model_config = ConfigDict(extra="forbid")

    points: list[Point] = Field(min_length=1, max_length=MAX_POINTS)


class PointQuery(BaseModel):
    """Points with `start` <= timestamp < `end`, raw or aggregated."""

    model_config = ConfigDict(extra="forbid")

    start: Timestamp
    end: Timestamp
    labels: Labels = Field(default_factory=dict, max_length=MAX_LABELS)
    aggregation: Aggregation | None = None
    window: Window | None = Field(None, description="ISO 8601, such as PT5M.", examples=["PT5M"])
    group_by: list[LabelName] = Field(default_factory=list, max_length=MAX_LABELS)
    limit: int = Field(1000, ge=1, le=10_000)
    cursor: str | None = Field(None, max_length=8192)


@router.post("/points/{tenant}/{env}", response_model=written(IngestPoints))
async def ingest(
    body: PointsRequest, caller: CallerDep, services: ServicesDep, writing: WriteOptionsDep
) -> Response:
    """Store points. An existing point gets the new value."""
    command = IngestPoints(**caller.fields, op_id=writing.op_id, points=body.points)
    return await answer_write(services, command, writing)


@router.post("/point-queries/{tenant}/{env}/{series}", response_model=read(QueryPoints))
async def query(
    series: SeriesPart,
    body: PointQuery,
    caller: CallerDep,
    services: ServicesDep,
    after: AfterHeader = None,
) -> Response:
    """Return one page of a series' points, or of the windows that they are aggregated to."""
    fields = {name: getattr(body, name) for name in PointQuery.model_fields}
    return await answer_read(services, QueryPoints(**caller.fields, series=series, **fields), after)
