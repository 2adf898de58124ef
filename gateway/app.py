"""The gateway's FastAPI application: its handlers, and how it responds to errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

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
from signalbox.gateway.access import OPEN
from signalbox.gateway.answer import Json
from signalbox.gateway.authentication import Authentication, check_settings
from signalbox.gateway.body_memory import BodyMemory
from signalbox.gateway.change_author import on_prepared
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
    commands_api.one_or_many,
    commands_api.router,
    operations.router,
    operations.health,
    object_links.router,
    routes.router,
    policies.router,
    principals.router,
    audit.router,
    dead_letters.router,
)
"""The handlers, most used first, since paths are compared one after the other."""
ON_PROBLEM: dict[str, Any] = {
    "description": "An error",
    "model": problem.Problem,
    "content": {problem.MEDIA_TYPE: {}},
}

_TEXT = {"schema": {"type": "string"}}
ACCEPTED: dict[str, Any] = {
    "description": "The command is in the ledger and still running; `Location` has its outcome.",
    "headers": {"Location": _TEXT, "Retry-After": _TEXT, "X-Op-Id": _TEXT},
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "op_id": {"type": "string"},
                    "state": {"const": "open"},
                    "location": {"type": "string"},
                },
                "required": ["op_id", "state", "location"],
            }
        }
    },
}
"""The response to a write that is not waited for."""

SECURITY: dict[str, Any] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Where the gateway asks for one: a token of a principal (`signalbox token "
        "issue`, or of the issuer that is set), or one of the operator's files. What a call needs: "
        "docs/security.md.",
    }
}


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
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    app.state.methods_of = _methods_of
    app.state.bodies = BodyMemory(gateway_settings.json_total_bytes)
    app.add_exception_handler(problem.Refused, problem.on_refused)
    app.add_exception_handler(SignalboxError, problem.on_signalbox_error)
    app.add_exception_handler(HTTPException, problem.on_http_exception)
    app.add_exception_handler(RequestValidationError, problem.on_invalid)
    app.add_exception_handler(ValidationError, problem.on_invalid_command)
    app.add_exception_handler(ChangePrepared, on_prepared)
    return app


def gated(app: FastAPI, own: GatewaySettings, fast_path: FastPath = fast_handler) -> Gate:
    """Return the application behind its gate, as a server needs it. Raises InvalidSetting."""
    return Gate(app, own, fast_path)


def _document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document with the tokens that calls take, and with the status 202."""
    document = FastAPI.openapi(app)
    for methods in document["paths"].values():
        for operation in methods.values():
            named = {parameter["name"] for parameter in operation.get("parameters", ())}
            if {"Idempotency-Key", "Prefer"} <= named:
                operation["responses"]["202"] = ACCEPTED
    document["components"]["securitySchemes"] = SECURITY
    document["security"] = [{"token": []}, {}]
    for path in document["paths"].keys() & set(OPEN):
        for operation in document["paths"][path].values():
            operation["security"] = []
    return document


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
