"""HTTP API for strategy locks, like `signalbox routes lock`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.error import NotFound
from signalbox.commands.routing import Reason
from signalbox.gateway.answer import Json
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.change_author import AuthorDep
from signalbox.gateway.registry_models import HeldLock, PreparedChange, ReleasedLock
from signalbox.gateway.request_context import CallerDep, ServicesDep
from signalbox.gateway.routes import KindPart, LockToken, scope_of

router = APIRouter(prefix="/v1", route_class=BoundedRoute, tags=["locks"])


class LockRequest(BaseModel):
    """How long the lock is to last, and why."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason
    ttl: int = Field(900, ge=1, le=7 * 24 * 3600, description="Seconds.")
    lock_token: LockToken = None


@router.get("/locks/{kind}/{tenant}/{env}", response_model=HeldLock)
async def get_lock(kind: KindPart, caller: CallerDep, services: ServicesDep) -> Response:
    """Return the strategy lock that is held now."""
    scope = scope_of(kind, caller)
    [held] = await services.call(lambda: services.registry.locks.held([scope]))
    if held is None:
        raise NotFound(
            "no lock is held",
            kind=kind,
            tenant_id=caller.tenant_id,
            env=caller.env,
            next_step="take one with PUT",
        )
    return Json({"scope": scope.field} | held.document())


@router.put("/locks/{kind}/{tenant}/{env}", response_model=HeldLock | PreparedChange)
async def lock(
    kind: KindPart,
    body: LockRequest,
    caller: CallerDep,
    services: ServicesDep,
    author: AuthorDep,
) -> Response:
    """Keep others from changing a route; a repeat by the holder (`X-Actor`) renews the lock."""
    scope, ttl = scope_of(kind, caller), timedelta(seconds=body.ttl)
    change, token = author.change(body.reason, body), body.lock_token
    held = await services.call(
        lambda: services.registry.locks.lock(scope, ttl, change, lock_token=token)
    )
    return Json({"scope": scope.field} | held.document())


@router.delete("/locks/{kind}/{tenant}/{env}", response_model=ReleasedLock | PreparedChange)
async def unlock(
    kind: KindPart,
    caller: CallerDep,
    services: ServicesDep,
    author: AuthorDep,
    reason: Annotated[str, Query(min_length=1, max_length=500)],
    force: Annotated[bool, Query(description="Take it from whoever holds it.")] = False,
    lock_token: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """Release a lock; with `force` even another's, which the audit trail records."""
    scope = scope_of(kind, caller)
    change = author.change(reason)
    was = await services.call(
        lambda: services.registry.locks.unlock(scope, change, force=force, lock_token=lock_token)
    )
    return Json({"unlocked": was.document() if was else None})
