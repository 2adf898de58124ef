"""HTTP API of the audit trail: changes of routes, locks, policies and principals, and refusals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BeforeValidator
from starlette.responses import Response

from signalbox.commands.scope import check_tenant
from signalbox.gateway.answer import Json
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.registry_models import AuditPage
from signalbox.gateway.request_context import ServicesDep
from signalbox.routing.audit.signed_by import Signatures
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.event_log import EventLog

router = APIRouter(prefix="/v1/audit", route_class=BoundedRoute, tags=["audit"])

_LOOKED_AT = 10_000
"""Maximum number of events that one request reads to find those of a tenant."""


def _no_number(value: Any) -> Any:
    # A plain number would be taken for seconds since 1970.
    if isinstance(value, str) and value[4:5] != "-":
        raise ValueError("a time is written like 2026-01-31T12:00:00Z")
    return value


@router.get("", response_model=AuditPage)
async def log(
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, le=2**53, description="Behind this revision.")] = 0,
    since: Annotated[
        AwareDatetime | None, BeforeValidator(_no_number), Query(description="In place of `after`.")
    ] = None,
    tenant: Annotated[str | None, Query(description="Only this tenant.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Return a page of events, oldest first.

    `next_after` continues after it and is null at the end. Where changes are signed, `signed_by` of
    each says by whom, as far as the principals of now can tell.
    """
    name = check_tenant(tenant) if tenant is not None else None
    events, last = await services.call(
        lambda: _page(services.registry.log, after, since, name, limit)
    )
    documents = [event.model_dump(mode="json") for event in events]
    rosters = services.registry.rosters
    if rosters is not None:
        roster = (await services.call(rosters.check)).roster
        signatures = Signatures(rosters.trust, roster)
        signed = await services.call(lambda: [signatures.of(event) for event in events])
        for document, author in zip(documents, signed, strict=True):
            document["signed_by"] = author.document()
    return Json({"events": documents, "next_after": last})


def _page(
    event_log: EventLog, after: int, since: datetime | None, tenant: str | None, limit: int
) -> tuple[list[StreamEvent], int | None]:
    begin = event_log.last_revision_before(since) if since else after
    found: list[StreamEvent] = []
    looked_at = 0
    while looked_at < _LOOKED_AT:
        page = event_log.events(begin, limit=min(1000, limit if tenant is None else 1000))
        if not page:
            return found, None
        for event in page:
            begin, looked_at = event.revision, looked_at + 1
            if tenant is None or tenant in event.subject.split("/"):
                found.append(event)
                if len(found) == limit:
                    return found, begin
    return found, begin
