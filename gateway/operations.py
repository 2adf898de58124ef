"""HTTP API for operation: health, readiness, status, and diagnosis of routes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from signalbox.commands.error import RegistryUnreadable
from signalbox.commands.ledger.usage import UsageBook
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.gateway.answer import Json
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.error import NotReady
from signalbox.gateway.operation_models import Alive, Diagnosis, Ready, SystemStatus
from signalbox.gateway.request_context import CallerDep, ServicesDep, WaitDep
from signalbox.gateway.routes import no_such_route
from signalbox.gateway.services import Services
from signalbox.producers.broker.publisher import make_app
from signalbox.producers.diagnosis import money, probed
from signalbox.producers.heartbeats import Heartbeats
from signalbox.producers.status import status_of
from signalbox.routing.policy.policy import FREE
from signalbox.routing.policy.price import load_prices
from signalbox.routing.route import Route
from signalbox.routing.system_view import SystemView

router = APIRouter(route_class=BoundedRoute, tags=["operations"])
health = APIRouter(tags=["operations"])
"""Health checks, which accept any parameters, as load balancers may add some."""


@health.get("/healthz", response_model=Alive)
async def healthz() -> Response:
    """Return 200 while the process runs and its event loop is not blocked."""
    return Json({"status": "alive"})


@health.get("/readyz", response_model=Ready)
async def readyz(services: ServicesDep) -> Response:
    """Return 200 while the state Redis answers and a worker runs commands, known within seconds."""
    if services.stopping.is_set():
        raise NotReady("the gateway is stopping", next_step="ask another one")
    workers = await services.call(lambda: _alive(services))
    if not workers:
        raise NotReady(
            "no worker runs commands",
            next_step="start one, or see with `signalbox status` what those that run wait for",
        )
    return Json({"status": "ready", "workers": workers})


@health.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Return the OpenAPI document, which is made with the first request."""
    state = request.app.state
    if state.document is None:
        # Not on the thread of all requests, since this takes most of a second.
        state.document = await asyncio.to_thread(lambda: Json(request.app.openapi()).body)
    return Response(state.document, media_type="application/json")


@router.get("/v1/status", response_model=SystemStatus)
async def status(services: ServicesDep) -> Response:
    """Return queues, workers, and the numbers of open, running, held, overdue and dead commands."""
    return Json(
        await services.call(
            lambda: status_of(
                services.settings, services.client.state, make_app(services.settings)
            ),
            slow=True,
        )
    )


@router.post("/v1/diagnostics/{tenant}/{env}", response_model=Diagnosis)
async def diagnose(
    caller: CallerDep,
    services: ServicesDep,
    wait: WaitDep,
    kind: Annotated[ResourceKind | None, Query(description="Left out: every route.")] = None,
) -> Response:
    """Have a worker probe each route's backend; return also use, quota and estimated cost."""
    kinds = [kind] if kind else list(ResourceKind)
    scopes = [Scope(kind=k, tenant_id=caller.tenant_id, env=caller.env) for k in kinds]

    def found() -> list[dict[str, Any]]:
        routes = _routes(services, scopes)
        policy = services.registry.policies.get(caller.tenant_id)
        terms, tables = policy.terms if policy else FREE, load_prices(services.settings.price_file)
        view = SystemView(services.registry, UsageBook(services.client.state))
        documents = []
        for route in routes:
            health = probed(services.client, route.scope, caller.mode, wait.total_seconds())
            [route_status] = view.of([route])
            document = {"scope": route.scope.field, "backend": route.backend_type, "probe": health}
            documents.append(document | money(route_status, terms, tables))
        return documents

    return Json({"routes": await services.call(found, slow=True)})


def _routes(services: Services, scopes: list[Scope]) -> list[Route]:
    routes: list[Route] = []
    for route, _ in services.registry.get_many(scopes):
        if isinstance(route, RegistryUnreadable):
            raise route
        if route is not None:
            routes.append(route)
    if not routes:
        raise no_such_route(scopes[0])
    return routes


def _alive(services: Services) -> list[str]:
    return Heartbeats(services.client.state).beating()
