"""HTTP API for the names of tables, series and streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from signalbox.commands.event_stream import ListStreams
from signalbox.commands.metrics_store import ListSeries
from signalbox.commands.tabular_store import ListTables
from signalbox.gateway.answer import answer_read
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.request_context import AfterHeader, CallerDep, ServicesDep
from signalbox.gateway.result_models import read

router = APIRouter(prefix="/v1", route_class=BoundedRoute, tags=["names"])


@dataclass(frozen=True)
class NamesPage:
    """Which names are asked for."""

    prefix: Annotated[str, Query(description="Only names that begin with it.")] = ""
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None
    allow_scan: Annotated[
        bool,
        Query(
            description="Read all that is stored where the backend has no list of names; "
            "SCAN_REFUSED otherwise."
        ),
    ] = False

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the command."""
        return dict(vars(self))


PageDep = Annotated[NamesPage, Depends()]


@router.get("/tables/{tenant}/{env}", response_model=read(ListTables))
async def list_tables(
    page: PageDep, caller: CallerDep, services: ServicesDep, after: AfterHeader = None
) -> Response:
    """Return one page of the names of tables."""
    return await answer_read(services, ListTables(**caller.fields, **page.fields), after)


@router.get("/series/{tenant}/{env}", response_model=read(ListSeries))
async def list_series(
    page: PageDep, caller: CallerDep, services: ServicesDep, after: AfterHeader = None
) -> Response:
    """Return one page of the names of series."""
    return await answer_read(services, ListSeries(**caller.fields, **page.fields), after)


@router.get("/streams/{tenant}/{env}", response_model=read(ListStreams))
async def list_streams(
    page: PageDep, caller: CallerDep, services: ServicesDep, after: AfterHeader = None
) -> Response:
    """Return one page of the names of streams."""
    return await answer_read(services, ListStreams(**caller.fields, **page.fields), after)
