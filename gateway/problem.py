"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from signalbox.commands.error import (
    InternalError,
    InvalidCommand,
    NotGranted,
    RouteExists,
    RouteNotFound,
    SignalboxError,
    reason_of,
)
from signalbox.gateway.error import (
    InvalidRequest,
    MethodNotAllowed,
    NoSuchPath,
    TokenExpired,
    TokenInvalid,
    status_of,
)

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """An error in the form of RFC 9457, with Signalbox's own members."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error_code: str = Field(description="Stable; docs/errors.md lists all.")
    temporary: bool = Field(description="The same request may succeed later.")
    next_step: str | None = None
    resource_kind: str | None = None
    tenant_id: str | None = None
    env: str | None = None
    backend_type: str | None = None
    op_id: str | None = None
    retry_after: float | None = Field(None, description="Seconds.")


def problem_of(
    error: SignalboxError, op_id: str | None = None, *, conditional: bool = False
) -> dict[str, Any]:
    """Return the error as a document, without members that are unknown."""
    said = error.detail()
    detail, next_step = said.message, said.next_step
    if said.code == RouteNotFound.code:
        # In terms of the HTTP API.
        detail = f"{detail.rstrip('.')}. Configure via /routing/routes..."
        next_step = (
            'POST /routing/routes with {"resource_kind": …, "backend_type": …, "config": {…}}, '
            "or PUT /v1/routes/{kind}/{tenant}/{env}"
        )
    if said.code == RouteExists.code:
        next_step = "to move the route on purpose: POST /v1/routes/{kind}/{tenant}/{env}/switch"
    document = {
        "type": "about:blank",
        "title": said.code.replace("_", " ").capitalize(),
        "status": status_of(said.code, said.http_status, conditional=conditional),
        "detail": detail,
        "error_code": said.code,
        "temporary": said.temporary,
        "next_step": next_step,
        "resource_kind": said.kind,
        "tenant_id": said.tenant_id,
        "env": said.env,
        "backend_type": said.backend_type,
        "op_id": op_id,
        "retry_after": said.retry_after,
    }
    return {name: value for name, value in document.items() if value is not None}


def problem(
    error: SignalboxError,
    op_id: str | None = None,
    *,
    conditional: bool = False,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return the error as a response."""
    document = problem_of(error, op_id, conditional=conditional)
    all_headers = dict(headers or {})
    if (after := document.get("retry_after")) is not None:
        all_headers["Retry-After"] = str(max(1, math.ceil(after)))
    elif document["status"] == 503:
        all_headers["Retry-After"] = "1"
    if document["status"] == 401 or document["error_code"] == NotGranted.code:
        all_headers["WWW-Authenticate"] = _challenge(document["error_code"])
    if op_id is not None:
        all_headers["X-Op-Id"] = op_id
    return Response(body_of(document), document["status"], all_headers, media_type=MEDIA_TYPE)


def _challenge(code: str) -> str:
    """What RFC 6750 has a client told of its token: nothing, if it sent none."""
    if code == NotGranted.code:
        return 'Bearer error="insufficient_scope"'
    if code in (TokenInvalid.code, TokenExpired.code):
        return 'Bearer error="invalid_token"'
    return "Bearer"


def body_of(document: dict[str, Any]) -> bytes:
    # Escaped, since an error may quote text that is not valid UTF-8.
    """Return the document as JSON in ASCII."""
    return json.dumps(document, separators=(",", ":")).encode()


class Refused(Exception):
    """The error of a request whose command has an op_id, or of a condition of the request."""

    def __init__(
        self, error: SignalboxError, op_id: str | None = None, *, conditional: bool = False
    ) -> None:
        super().__init__(str(error))
        self.error, self.op_id, self.conditional = error, op_id, conditional


async def on_refused(_: Request, error: Exception) -> Response:
    """Respond to Refused."""
    assert isinstance(error, Refused)  # noqa: S101 - registered for it alone
    return problem(error.error, error.op_id, conditional=error.conditional)


async def on_signalbox_error(_: Request, error: Exception) -> Response:
    """Respond to any other SignalboxError."""
    assert isinstance(error, SignalboxError)  # noqa: S101 - registered for it alone
    return problem(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Respond to errors of the framework: unknown paths and methods, unreadable bodies."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    if isinstance(error.__cause__, SignalboxError):
        return problem(error.__cause__)
    if isinstance(error.__cause__, ValidationError):
        first = error.__cause__.errors(include_url=False, include_input=False)[0]
        return _invalid(first, ("body", *first["loc"]))
    if error.status_code == 404:
        return problem(
            NoSuchPath(
                "there is no such path", next_step="/openapi.json and docs/gateway.md list all"
            )
        )
    if error.status_code == 405:
        allowed = ", ".join(request.app.state.methods_of(request.url.path))
        return problem(
            MethodNotAllowed(
                f"{request.method} is not for this path", next_step=f"this path takes {allowed}"
            ),
            headers={"Allow": allowed},
        )
    return problem(InvalidRequest(str(error.detail), next_step="see docs/gateway.md"))


async def on_invalid(_: Request, error: Exception) -> Response:
    """Respond to an invalid parameter or body, without repeating what was sent."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    first = error.errors()[0]
    return _invalid(first, first["loc"])


async def on_invalid_command(_: Request, error: Exception) -> Response:
    """Respond to a command that its model refuses."""
    assert isinstance(error, ValidationError)  # noqa: S101 - registered for it alone
    return invalid_command(error)


def invalid_command(error: ValidationError) -> Response:
    """Return the response for a command that its model refuses."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "command"
    return problem(InvalidCommand(f"{where}: {reason_of(first)}", next_step="see /openapi.json"))


def _invalid(fault: ErrorDetails, path: Iterable[int | str]) -> Response:
    where = ".".join(str(part) for part in path)
    return problem(InvalidRequest(f"{where}: {reason_of(fault)}", next_step="see /openapi.json"))


async def on_unforeseen(_: Request, error: Exception) -> Response:
    """Respond to any other error. The framework raises it anew then, and the gate logs it."""
    return unforeseen(error)


def unforeseen(error: Exception) -> Response:
    """Return the response for any other error, whose details are only logged."""
    return problem(
        InternalError(f"{type(error).__name__} in the gateway", next_step="see the gateway's log")
    )
