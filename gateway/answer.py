"""HTTP responses for commands: the result, 202 while a command is running, or an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from signalbox.commands.error import DeliveryError, RemoteError, SignalboxError, StateUnavailable
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome
from signalbox.gateway.problem import Refused
from signalbox.gateway.request_context import WriteOptions
from signalbox.gateway.services import Services
from signalbox.gateway.url_text import encoded, header_safe

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_JSON = (b"content-type", b"application/json")


class Json(JSONResponse):
    """A JSON response, without spaces and unneeded headers."""

    def render(self, content: Any) -> bytes:
        return _ENCODER.encode(content).encode("utf-8", "surrogatepass")

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        length = (b"content-length", b"%d" % len(self.body))
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in (headers or {}).items()
        ]
        self.raw_headers += [length, _JSON]


def location_of(command: Command) -> str:
    """Return the path at which a command's outcome can be read."""
    return f"/v1/outcomes/{command.tenant_id}/{command.env}/{encoded(command.op_id)}"


async def run_write(
    services: Services, command: Command, writing: WriteOptions, *, conditional: bool = False
) -> Outcome | None:
    """Submit a write and wait for it; return None if it is still running. Raises Refused."""
    try:
        outcome = await services.run(command, writing.wait)
        if outcome is not None and outcome.error is not None:
            raise RemoteError(outcome.error)
    except SignalboxError as error:
        raise Refused(error, command.op_id, conditional=conditional) from error
    return outcome


async def run_put(
    services: Services, command: PutObject, writing: WriteOptions, *, conditional: bool = False
) -> Outcome | None:
    """Do what `run_write` does, then remove the request's own copy of staged content.

    An accepted command has its own name of the content.
    """
    try:
        outcome = await run_write(services, command, writing, conditional=conditional)
    except Refused as refused:
        # Otherwise the buffer may still submit it.
        if not isinstance(refused.error, StateUnavailable | DeliveryError):
            await services.release(command.payload)
        raise
    await services.release(command.payload)
    return outcome


async def answer_write(
    services: Services,
    command: Command,
    writing: WriteOptions,
    *,
    status: int = 200,
    conditional: bool = False,
) -> Response:
    """Submit a write; respond with its result as JSON, or with 202."""
    outcome = await run_write(services, command, writing, conditional=conditional)
    if outcome is None:
        return accepted(command)
    return Json(document_of(outcome), status, headers_of(outcome))


async def answer_read(services: Services, command: Command, after: str | None) -> Response:
    """Run a read; respond with its result as JSON."""
    outcome = await services.read(command, after)
    result = outcome.unwrap()
    headers = {"X-Backend-Type": header_safe(outcome.backend_type or "")}
    return Json(result | {"backend_type": outcome.backend_type}, 200, headers)


def accepted(command: Command) -> Response:
    """Return a 202 response: the command is in the ledger and still running."""
    location = location_of(command)
    return Json(
        {"op_id": command.op_id, "state": "open", "location": location},
        202,
        {"Location": location, "X-Op-Id": command.op_id, "Retry-After": "1"},
    )


def document_of(outcome: Outcome) -> dict[str, Any]:
    """Return a result as a document, in the form of the command line's `--json`."""
    identity = {"op_id": outcome.op_id, "backend_type": outcome.backend_type}
    return (outcome.result or {}) | identity


def headers_of(outcome: Outcome) -> dict[str, str]:
    """Return the headers that describe an outcome."""
    headers = {"X-Op-Id": outcome.op_id}
    if outcome.backend_type:
        headers["X-Backend-Type"] = header_safe(outcome.backend_type)
    if outcome.route_revision is not None:
        headers["X-Route-Revision"] = str(outcome.route_revision)
    return headers
