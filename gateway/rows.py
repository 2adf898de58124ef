"""HTTP API for rows of tables: upsert, get, delete and query."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.name import ColumnName
from signalbox.commands.tabular_store import (
    DeleteRow,
    Filter,
    GetRow,
    QueryRows,
    RowCondition,
    UpsertRow,
)
from signalbox.commands.value import TypedData
from signalbox.gateway.answer import (
    Json,
    accepted,
    answer_read,
    answer_write,
    document_of,
    headers_of,
    run_write,
)
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.conditions import IfMatchHeader, IfNoneMatchHeader, is_absent, revision_of
from signalbox.gateway.request_context import AfterHeader, CallerDep, ServicesDep, WriteOptionsDep
from signalbox.gateway.result_models import read, written
from signalbox.gateway.url_text import NamePart, header_safe

router = APIRouter(prefix="/v1", route_class=BoundedRoute, tags=["rows"])

TablePart = Annotated[NamePart, Path(description="Table name; a `/` in it as %2F.")]
RowPart = Annotated[NamePart, Path(description="Row key; a `/` in it as %2F.")]


class QueryRequest(BaseModel):
    """Filters and order of the rows."""

    model_config = ConfigDict(extra="forbid")

    filters: list[Filter] = Field(default_factory=list, max_length=10)
    order_by: ColumnName | None = None
    descending: bool = False
    limit: int = Field(100, ge=1, le=1000)
    cursor: str | None = Field(None, max_length=8192)
    allow_scan: bool = Field(
        False,
        description="Read the whole table where no index serves the filters or the order; "
        "SCAN_REFUSED otherwise.",
    )


@router.put("/rows/{tenant}/{env}/{table}/{key}", response_model=written(UpsertRow))
async def upsert(
    table: TablePart,
    key: RowPart,
    data: Annotated[TypedData, Body()],
    caller: CallerDep,
    services: ServicesDep,
    writing: WriteOptionsDep,
    if_match: IfMatchHeader = None,
    if_none_match: IfNoneMatchHeader = None,
) -> Response:
    """Create a row, or replace all its columns by those in the body. Its ETag is its revision."""
    condition = RowCondition(if_absent=is_absent(if_none_match), if_revision=revision_of(if_match))
    command = UpsertRow(
        **caller.fields,
        op_id=writing.op_id,
        table_name=table,
        key=key,
        data=data,
        condition=condition,
    )
    outcome = await run_write(services, command, writing, conditional=condition != RowCondition())
    if outcome is None:
        return accepted(command)
    result = document_of(outcome)
    return Json(result, 200, headers_of(outcome) | {"ETag": f'"{result["revision"]}"'})


@router.get("/rows/{tenant}/{env}/{table}/{key}", response_model=read(GetRow))
async def get(
    table: TablePart,
    key: RowPart,
    caller: CallerDep,
    services: ServicesDep,
    after: AfterHeader = None,
) -> Response:
    """Return one row."""
    outcome = await services.read(GetRow(**caller.fields, table_name=table, key=key), after)
    result = outcome.unwrap() | {"backend_type": outcome.backend_type}
    headers = {
        "ETag": f'"{result["revision"]}"',
        "X-Backend-Type": header_safe(outcome.backend_type or ""),
    }
    return Json(result, 200, headers)


@router.delete("/rows/{tenant}/{env}/{table}/{key}", response_model=written(DeleteRow))
async def delete(
    table: TablePart,
    key: RowPart,
    caller: CallerDep,
    services: ServicesDep,
    writing: WriteOptionsDep,
    if_match: IfMatchHeader = None,
) -> Response:
    """Remove a row; it is no error if there is none."""
    command = DeleteRow(
        **caller.fields,
        op_id=writing.op_id,
        table_name=table,
        key=key,
        if_revision=revision_of(if_match),
    )
    return await answer_write(services, command, writing, conditional=if_match is not None)


@router.post("/queries/{tenant}/{env}/{table}", response_model=read(QueryRows))
async def query(
    table: TablePart,
    body: QueryRequest,
    caller: CallerDep,
    services: ServicesDep,
    after: AfterHeader = None,
) -> Response:
    """Return one page of the rows that match all filters, in order."""
    fields = {name: getattr(body, name) for name in QueryRequest.model_fields}
    return await answer_read(
        services, QueryRows(**caller.fields, table_name=table, **fields), after
    )
