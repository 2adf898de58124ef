"""The OpenAPI document: what the framework makes of the handlers, and what it does not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from signalbox.commands.error import BackendNotImplemented, RouteNotFound, Unsupported
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.gateway.access import OPEN
from signalbox.gateway.problem import MEDIA_TYPE, Problem, problem_of
from signalbox.routing.route import no_route

Document = dict[str, Any]

ON_PROBLEM: Document = {"description": "An error", "model": Problem}
"""The response to anything that fails."""
SECURITY: Document = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Where the gateway asks for one: a token of a principal (`signalbox token "
        "issue`, or of the issuer that is set), or one of the operator's files. What a call needs: "
        "docs/security.md.",
    }
}
_RUNS_COMMANDS = frozenset(("first calls", "objects", "rows", "points", "streams", "names"))
"""Tags of the calls that run one command each."""
_OF_ROUTES = "/routing/routes"
_TEXT = {"schema": {"type": "string"}}
_REF = "#/components/schemas/"


def document_of(app: FastAPI) -> Document:
    """Return the document of all calls. To make it takes most of a second."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes
    )
    for path, methods in document["paths"].items():
        for operation in methods.values():
            responses = operation["responses"]
            _as_problem(responses["default"])
            if _may_be_accepted(operation):
                responses["202"] = _accepted()
            if path != _OF_ROUTES and _RUNS_COMMANDS.intersection(operation["tags"]):
                responses["500"] = _without_route()
                responses["501"] = _not_implemented()
            if path in OPEN:
                operation["security"] = []
    components = document["components"]
    components["securitySchemes"] = SECURITY
    document["security"] = [{"token": []}, {}]
    _open_answers(document)
    return document


def _may_be_accepted(operation: Document) -> bool:
    """Return whether the call runs a command that a client need not wait for."""
    named = {parameter["name"] for parameter in operation.get("parameters", ())}
    return {"Idempotency-Key", "Prefer"} <= named or "application/jose" in (
        operation.get("requestBody", {}).get("content", ())
    )


def _accepted() -> Document:
    return {
        "description": "The command is in the ledger and still running; `Location` has its "
        "outcome.",
        "headers": {"Location": _TEXT, "Retry-After": _TEXT, "X-Op-Id": _TEXT},
        "content": {"application/json": {"schema": {"$ref": f"{_REF}AcceptedAnswer"}}},
    }


def _without_route() -> Document:
    example = problem_of(
        no_route(Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_x", env="dev"))
    )
    response = _problem(
        f"`{RouteNotFound.code}`: the tenant has no route for this kind of data in this env, and "
        "somebody has to set one. Also other errors that are not the client's, as docs/errors.md "
        "lists them."
    )
    response["content"][MEDIA_TYPE]["example"] = example
    return response


def _not_implemented() -> Document:
    return _problem(
        f"`{Unsupported.code}` or `{BackendNotImplemented.code}`: the backend of the route cannot "
        "do this."
    )


def _problem(description: str) -> Document:
    schema = {"$ref": f"{_REF}{Problem.__name__}"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def _as_problem(response: Document) -> None:
    """The framework takes every model for JSON of the usual media type."""
    response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}


def _open_answers(document: Document) -> None:
    """Let a later release add fields to answers: a schema that no request has is not closed."""
    schemas = document["components"]["schemas"]
    sent: set[str] = set()
    new = set(_refs([_requests(each) for each in document["paths"].values()]))
    while new:
        sent |= new
        new = {ref for name in new for ref in _refs(schemas[name])} - sent
    for name in schemas.keys() - sent:
        if schemas[name].get("additionalProperties") is False:
            del schemas[name]["additionalProperties"]


def _requests(methods: Document) -> list[Any]:
    return [[its.get("requestBody"), its.get("parameters")] for its in methods.values()]


def _refs(value: Any) -> Iterator[str]:
    """Yield the names of the schemas that a part of the document refers to."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].removeprefix(_REF)
        for each in value.values():
            yield from _refs(each)
    elif isinstance(value, list):
        for each in value:
            yield from _refs(each)
