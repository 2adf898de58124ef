"""What a command came to, as a response: its result, 202 while it goes on, or its error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from signalbox.commands.error import DeliveryError, RemoteError, SignalboxError, StateUnavailable
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome
from signalbox.gateway.call import Writing
from signalbox.gateway.desk import Desk
from signalbox.gateway.problem import Refused
from signalbox.gateway.text import encoded, header_safe

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_JSON = (b"content-type", b"application/json")


class Json(JSONResponse):
    """JSON without what no reader needs."""

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
    """Where the outcome is to be asked for."""
    return f"/v1/outcomes/{command.tenant_id}/{command.env}/{encoded(command.op_id)}"


async def run_write(
    desk: Desk, command: Command, writing: Writing, *, conditional: bool = False
) -> Outcome | None:
    """Hand over a write and wait for it; None if it goes on. Raises Refused."""
    try:
        outcome = await desk.run(command, writing.wait)
        if outcome is not None and outcome.error is not None:
            raise RemoteError(outcome.error)
    except SignalboxError as error:
        raise Refused(error, command.op_id, conditional=conditional) from error
    return outcome


async def run_put(
    desk: Desk, command: PutObject, writing: Writing, *, conditional: bool = False
) -> Outcome | None:
    """`run_write`, and give up what was staged for it: an accepted command has a name of its own
    for it, and nothing else is to wait until an error's last reference is collected."""
    try:
        outcome = await run_write(desk, command, writing, conditional=conditional)
    except Refused as refused:
        # Otherwise the buffer may hand it over yet.
        if not isinstance(refused.error, StateUnavailable | DeliveryError):
            await desk.release(command.payload)
        raise
    await desk.release(command.payload)
    return outcome


async def answer_write(
    desk: Desk,
    command: Command,
    writing: Writing,
    *,
    status: int = 200,
    conditional: bool = False,
) -> Response:
    """The result of a write as JSON, or 202."""
    outcome = await run_write(desk, command, writing, conditional=conditional)
    if outcome is None:
        return accepted(command)
    return Json(document_of(outcome), status, headers_of(outcome))


async def answer_read(desk: Desk, command: Command, after: str | None) -> Response:
    """The result of a read as JSON."""
    outcome = await desk.read(command, after)
    result = outcome.unwrap()
    its = {"X-Backend-Type": header_safe(outcome.backend_type or "")}
    return Json(result | {"backend_type": outcome.backend_type}, 200, its)


def accepted(command: Command) -> Response:
    """202: the command is in the ledger and goes on."""
    location = location_of(command)
    return Json(
        {"op_id": command.op_id, "state": "open", "location": location},
        202,
        {"Location": location, "X-Op-Id": command.op_id, "Retry-After": "1"},
    )


def document_of(outcome: Outcome) -> dict[str, Any]:
    """As `--json` of the command line has it."""
    its = {"op_id": outcome.op_id, "backend_type": outcome.backend_type}
    return (outcome.result or {}) | its


def headers_of(outcome: Outcome) -> dict[str, str]:
    headers = {"X-Op-Id": outcome.op_id}
    if outcome.backend_type:
        headers["X-Backend-Type"] = header_safe(outcome.backend_type)
    if outcome.route_revision is not None:
        headers["X-Route-Revision"] = str(outcome.route_revision)
    return headers
