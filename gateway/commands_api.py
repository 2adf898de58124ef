"""HTTP API for commands in their own JSON form, and for outcomes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.error import (
    InternalError,
    InvalidCommand,
    NotFound,
    OutcomePending,
    RemoteError,
    SignalboxError,
)
from signalbox.commands.model import Command, new_op_id
from signalbox.commands.parse import parse_command
from signalbox.commands.payload import StagedPayload
from signalbox.commands.proof.signed_command import unverified
from signalbox.commands.routing import ControlCommand
from signalbox.commands.schemas import read_schemas
from signalbox.commands.scope import check_env, check_tenant
from signalbox.gateway.answer import Json, accepted, document_of, headers_of, location_of
from signalbox.gateway.body import BoundedRequest, BoundedRoute, check_parameters
from signalbox.gateway.conditions import check_conditions_are_known
from signalbox.gateway.error import InvalidRequest
from signalbox.gateway.identity import authorize
from signalbox.gateway.problem import Refused, problem_of
from signalbox.gateway.request_context import ServicesDep, WaitDep, services_of, wait_of
from signalbox.gateway.result_models import CommandRecord, CommandsAnswer, SignedCommandAnswer
from signalbox.gateway.url_text import EnvPart, OpIdPart, TenantPart
from signalbox.producers.client.run_result import Ran
from signalbox.producers.client.submission import MAX_SUBMIT
from signalbox.workers.execution.admission import control_refused

router = APIRouter(prefix="/v1", route_class=BoundedRoute, tags=["commands"])
JOSE = "application/jose"
"""The media type of a JWS (RFC 7515)."""


class CommandsRequest(BaseModel):
    """Commands as `GET /v1/schemas` describes them. On one key they take effect in this order."""

    model_config = ConfigDict(extra="forbid")

    commands: list[dict[str, Any] | str] = Field(
        min_length=1,
        max_length=MAX_SUBMIT,
        description="Each an object, or a text: the JWS of one that its author has signed.",
    )


class SignedRoute(BoundedRoute):
    """Takes a JWS (`application/jose`) in place of JSON, as one signed command."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def either(request: Request) -> Response:
            said = request.headers.get("content-type", "")
            if said.partition(";")[0].strip().lower() != JOSE:
                return await handler(request)
            bounded = BoundedRequest(request.scope, request.receive)
            try:
                return await _run_one(bounded)
            finally:
                request.app.state.bodies.give_back(bounded.size)

        return either


one_or_many = APIRouter(prefix="/v1", route_class=SignedRoute, tags=["commands"])


@one_or_many.post(
    "/commands",
    response_model=CommandsAnswer | SignedCommandAnswer,
    openapi_extra={"requestBody": {"content": {JOSE: {"schema": {"type": "string"}}}}},
)
async def run_commands(
    body: CommandsRequest, request: Request, services: ServicesDep, wait: WaitDep
) -> Response:
    """Submit up to 500 commands in one round trip; return the end of each, in order.

    A refused command does not stop the others. `state` is done, failed, open (still running: ask at
    `location`) or refused (nothing was accepted). One signed command as `application/jose` is
    answered like a single write: with its result, 202, or its error.
    """
    ends: list[dict[str, Any]] = [{}] * len(body.commands)
    good: list[tuple[int, Command, str]] = []
    _check_key(request)
    for number, document in enumerate(body.commands):
        token = document if isinstance(document, str) else ""
        try:
            read = unverified(token) if isinstance(document, str) else document
            command = _command(read)
            authorize(request, command.op, command.tenant_id, command.env)
            good.append((number, command, token))
        except SignalboxError as error:
            named = None if isinstance(document, str) else document.get("op_id")
            ends[number] = _refused(error, named)
    commands, tokens = [each[1] for each in good], [each[2] for each in good]
    every = await services.run_many(commands, wait, tokens) if good else []
    for (number, command, _), ran in zip(good, every, strict=True):
        ends[number] = _end(command, ran)
    return Json({"results": ends})


async def _run_one(request: BoundedRequest) -> Response:
    """Run the one signed command that the body is. Raises Refused."""
    check_parameters(request, frozenset())
    check_conditions_are_known(request.headers, frozenset())
    _check_key(request)
    services = services_of(request)
    token = (await request.body()).decode("ascii", "replace").strip()
    command = _command(unverified(token))
    authorize(request, command.op, command.tenant_id, command.env)
    wait = wait_of(request.headers.get("prefer"), services.own.wait)
    [ran] = await services.run_many([command], wait, [token])
    if ran.outcome is None and isinstance(ran.error, OutcomePending | None):
        return accepted(command)
    if ran.outcome is None or ran.outcome.error is not None:
        error = RemoteError(ran.outcome.error) if ran.outcome and ran.outcome.error else ran.error
        raise Refused(error or InternalError("no end"), command.op_id)
    return Json(document_of(ran.outcome), 200, headers_of(ran.outcome))


def _check_key(request: Request) -> None:
    if "idempotency-key" in request.headers:
        raise InvalidRequest(
            "header.Idempotency-Key: this call takes none, and sent again the commands would take "
            "effect again",
            next_step="give each command an op_id of its own",
        )


@router.get(
    "/outcomes/{tenant}/{env}/{op_id}",
    response_model=CommandRecord,
    responses={202: {"description": "The command is open.", "model": CommandRecord}},
)
async def outcome(
    tenant: Annotated[TenantPart, Path(description="Tenant, `t_` and a name.")],
    env: Annotated[EnvPart, Path(description="Env, such as `dev`.")],
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
