"""The gateway's FastAPI application: its handlers, and how it responds to errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from signalbox.commands.error import SignalboxError
from signalbox.commands.proof.trust import trust_of
from signalbox.commands.settings import Settings
from signalbox.gateway import (
    audit,
    commands_api,
    dead_letters,
    header_api,
    header_route,
    locks,
    names,
    object_links,
    objects,
    operations,
    points,
    policies,
    principals,
    problem,
    routes,
    rows,
    streams,
)
from signalbox.gateway.answer import Json
from signalbox.gateway.authentication import Authentication, check_settings
from signalbox.gateway.body_memory import BodyMemory
from signalbox.gateway.change_author import on_prepared
from signalbox.gateway.document import ON_PROBLEM, document_of
from signalbox.gateway.fast_path import fast_handler
from signalbox.gateway.gate import FastPath, Gate
from signalbox.gateway.services import Services
from signalbox.gateway.settings import GatewaySettings
from signalbox.routing.registry.author_signature import ChangePrepared

ROUTERS: tuple[APIRouter, ...] = (
    objects.router,
    rows.router,
    points.router,
    streams.router,
    names.router,
    header_api.router,
    header_route.router,
    commands_api.one_or_many,
    commands_api.router,
    operations.router,
    operations.health,
    object_links.router,
    routes.router,
    locks.router,
    policies.router,
    principals.router,
    audit.router,
    dead_letters.router,
)
"""The handlers, most used first, since paths are compared one after the other."""


def make_app(
    settings: Settings | None = None,
    own: GatewaySettings | None = None,
    *,
    make_desk: Callable[[Settings, GatewaySettings], Services] = Services,
) -> FastAPI:
    """Make the application, without the checks that precede it; see `gated`."""
    gateway_settings = own or GatewaySettings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        its = settings or Settings()
        check_settings(gateway_settings, trust_of(its))
        services = make_desk(its, gateway_settings)
        app.state.services = services
        app.state.authentication = authentication = _authentication(gateway_settings, services)
        try:
            yield
        finally:
            if authentication is not None:
                authentication.close()
            await services.close()

    app = FastAPI(
        title="Signalbox",
        summary="Storage commands of many tenants, each on the backend that its route names.",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        default_response_class=Json,
        responses={"default": ON_PROBLEM},
        generate_unique_id_function=_operation,
    )
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = lambda: document_of(app)  # type: ignore[method-assign]
    app.state.methods_of = _methods_of
    app.state.document = None
    app.state.bodies = BodyMemory(gateway_settings.json_total_bytes)
    app.add_exception_handler(problem.Refused, problem.on_refused)
    app.add_exception_handler(SignalboxError, problem.on_signalbox_error)
    app.add_exception_handler(HTTPException, problem.on_http_exception)
    app.add_exception_handler(RequestValidationError, problem.on_invalid)
    app.add_exception_handler(ValidationError, problem.on_invalid_command)
    app.add_exception_handler(ChangePrepared, on_prepared)
    app.add_exception_handler(Exception, problem.on_unforeseen)
    return app


def gated(app: FastAPI, own: GatewaySettings, fast_path: FastPath = fast_handler) -> Gate:
    """Return the application behind its gate, as a server needs it. Raises InvalidSetting."""
    return Gate(app, own, fast_path)


def _authentication(own: GatewaySettings, services: Services) -> Authentication | None:
    rosters = services.registry.rosters
    if own.principals == "off" or rosters is None:
        return None
    return Authentication(own, rosters)


def _methods_of(path: str) -> list[str]:
    """Return all methods of a path; the framework would name those of its first handler only."""
    routes = (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))
    return sorted(
        {m for route in routes if route.path_regex.match(path) for m in route.methods or ()}
    )


def _operation(route: APIRoute) -> str:
    """Return the operation's name for generated clients, such as objects_put."""
    return f"{str(route.tags[0]).replace(' ', '_')}_{route.name}"
