"""HTTP API for commands in their own JSON form, and for outcomes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.error import InvalidCommand, NotFound, OutcomePending, SignalboxError
from signalbox.commands.model import Command, new_op_id
from signalbox.commands.parse import parse_command
from signalbox.commands.payload import StagedPayload
from signalbox.commands.routing import ControlCommand
from signalbox.commands.schemas import read_schemas
from signalbox.commands.scope import check_env, check_tenant
from signalbox.gateway.answer import Json, location_of
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.error import InvalidRequest
from signalbox.gateway.identity import authorize
from signalbox.gateway.problem import problem_of
from signalbox.gateway.request_context import ServicesDep, WaitDep
from signalbox.gateway.url_text import EnvPart, OpIdPart, TenantPart
from signalbox.producers.client.run_result import Ran
from signalbox.producers.client.submission import MAX_SUBMIT
from signalbox.workers.execution.admission import control_refused

router = APIRouter(prefix="/v1", route_class=BoundedRoute, tags=["commands"])


class CommandsRequest(BaseModel):
    """Commands as `GET /v1/schemas` describes them. On one key they take effect in this order."""

    model_config = ConfigDict(extra="forbid")

    commands: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_SUBMIT)


@router.post("/commands")
async def run_commands(
    body: CommandsRequest, request: Request, services: ServicesDep, wait: WaitDep
) -> Response:
    """Submit up to 500 commands in one round trip; return the end of each, in order.

    A refused command does not stop the others. `state` is done, failed, open (still running: ask at
    `location`) or refused (nothing was accepted).
    """
    if "idempotency-key" in request.headers:
        raise InvalidRequest(
            "header.Idempotency-Key: this call takes none, and sent again the commands would take "
            "effect again",
            next_step="give each command an op_id of its own",
        )
    ends: list[dict[str, Any]] = [{}] * len(body.commands)
    good: list[tuple[int, Command]] = []
    for number, document in enumerate(body.commands):
        try:
            command = _command(document)
            authorize(request, command.op, command.tenant_id, command.env)
            good.append((number, command))
        except SignalboxError as error:
            ends[number] = _refused(error, document.get("op_id"))
    every = await services.run_many([command for _, command in good], wait) if good else []
    for (number, command), ran in zip(good, every, strict=True):
        ends[number] = _end(command, ran)
    return Json({"results": ends})


@router.get("/outcomes/{tenant}/{env}/{op_id}")
async def outcome(
    tenant: Annotated[TenantPart, Path()],
    env: Annotated[EnvPart, Path()],
    op_id: Annotated[OpIdPart, Path()],
    request: Request,
    services: ServicesDep,
) -> Response:
    """Return a command's outcome with status 200, or 202 while it is open."""
    scope = {"tenant_id": check_tenant(tenant), "env": check_env(env)}
    record = await services.record(f"{tenant}/{env}/{op_id}")
    if record is None:
        raise NotFound(
            f"the ledger knows no command {op_id}",
            next_step=f"check the op_id; {services.settings.kept}",
            **scope,
        )
    authorize(request, record.op, **scope)
    document = asdict(record) | {
        "accepted_at": record.accepted_at.isoformat(),
        "outcome": record.outcome.model_dump(mode="json") if record.outcome else None,
        "waits_for": record.waits_for.model_dump(mode="json") if record.waits_for else None,
    }
    if record.outcome is None:
        return Json(document, 202, {"Retry-After": "1"})
    return Json(document)


@router.get("/schemas")
async def schemas() -> dict[str, Any]:
    """Return the JSON Schema of every command, by its `op`."""
    return read_schemas()


def _command(document: dict[str, Any]) -> Command:
    command = parse_command(document, default_op_id=new_op_id())
    if isinstance(command, ControlCommand):
        raise control_refused(command)
    if isinstance(getattr(command, "payload", None), StagedPayload):
        raise InvalidCommand(
            "a payload that was staged is not taken by HTTP: it may be anyone's",
            next_step="send the content itself: PUT /v1/objects/{tenant}/{env}/{key}",
            kind=command.kind,
            tenant_id=command.tenant_id,
            env=command.env,
        )
    return command


def _refused(error: SignalboxError, op_id: Any) -> dict[str, Any]:
    named = op_id if isinstance(op_id, str) else None
    return {"op_id": named, "state": "refused", "error": problem_of(error, named)}


def _end(command: Command, ran: Ran) -> dict[str, Any]:
    if ran.outcome is not None:
        document = ran.outcome.model_dump(mode="json")
        return {"op_id": command.op_id, "state": ran.outcome.status.value, "outcome": document}
    if ran.error is not None and not isinstance(ran.error, OutcomePending):
        return _refused(ran.error, command.op_id)
    return {"op_id": command.op_id, "state": "open", "location": location_of(command)}
