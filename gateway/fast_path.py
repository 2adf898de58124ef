"""The most frequent requests, put and get of an object, answered without the framework's routing.

The framework's routing and parameter parsing cost as much processor time as everything else for a
small object. The handlers are the same. Parameters are parsed here as their signatures say, and
`tests/gateway/test_fast_path.py` compares both ways.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from signalbox.commands.error import SignalboxError
from signalbox.commands.model import OP_ID_PATTERN, new_op_id
from signalbox.commands.scope import Mode, check_env, check_tenant
from signalbox.gateway import header_api, objects
from signalbox.gateway.body import check_parameters
from signalbox.gateway.conditions import check_conditions_are_known
from signalbox.gateway.error import InvalidRequest
from signalbox.gateway.problem import Refused, invalid_command, problem
from signalbox.gateway.request_context import (
    DEFAULT_ENV,
    Caller,
    WriteOptions,
    caller_from_headers,
    services_of,
    wait_of,
)
from signalbox.gateway.url_text import decoded

Handler = Callable[[Request], Awaitable[Response]]

_PREFIX = "/v1/objects/"
_MODES = {mode.value: mode for mode in Mode}
_NONE, _KEY = frozenset[str](), frozenset(("key",))
_CONDITIONS = frozenset(("if-match", "if-none-match"))
"""The conditions that a put of an object checks."""
_OP_ID = re.compile(OP_ID_PATTERN, re.ASCII)


def fast_handler(method: str, path: str) -> Handler | None:
    """Return the handler that answers this request without the framework; None if there is none."""
    if (handler := _BY_HEADERS.get((method, path))) is not None:
        return _guarded(handler)
    if not path.startswith(_PREFIX) or method not in ("GET", "PUT"):
        return None
    parts = path[len(_PREFIX) :].split("/", 2)
    if len(parts) < 3 or not all(parts):
        return None
    tenant, env, key = parts

    async def answer(request: Request) -> Response:
        check_parameters(request, _NONE)
        caller = Caller(check_tenant(decoded(tenant)), check_env(decoded(env)), _mode(request))
        return await (_put if method == "PUT" else _get)(request, caller, decoded(key))

    return _guarded(answer)


def _guarded(answer: Handler) -> Handler:
    """Return the handler with errors turned into responses, as the application does."""

    async def guarded(request: Request) -> Response:
        try:
            return await answer(request)
        except Refused as refused:
            return problem(refused.error, refused.op_id, conditional=refused.conditional)
        except SignalboxError as error:
            return problem(error)
        except ValidationError as error:
            return invalid_command(error)

    return guarded


async def _put(request: Request, caller: Caller, key: str) -> Response:
    headers, services = request.headers, services_of(request)
    check_conditions_are_known(headers, _CONDITIONS)
    writing = _writing(request)
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    return await objects.put(key, request, caller, services, writing, match, none_match)


async def _get(request: Request, caller: Caller, key: str) -> Response:
    after = _op_id(request.headers.get("x-after"), "X-After")
    return await objects.get(key, request, caller, services_of(request), after)


async def _put_by_headers(request: Request) -> Response:
    check_parameters(request, _NONE)
    check_conditions_are_known(request.headers, _NONE)
    caller = _caller_from_headers(request)
    if (key := request.headers.get("x-key")) is None:
        raise InvalidRequest("header.X-Key: Field required", next_step="see /openapi.json")
    return await header_api.put(request, caller, services_of(request), _writing(request), key)


async def _get_by_headers(request: Request) -> Response:
    check_parameters(request, _KEY)
    caller = _caller_from_headers(request)
    if (key := request.query_params.get("key")) is None:
        raise InvalidRequest("query.key: Field required", next_step="see /openapi.json")
    after = _op_id(request.headers.get("x-after"), "X-After")
    return await header_api.get(request, caller, services_of(request), key, after)


_BY_HEADERS = {
    ("POST", "/nexus/raw/put"): _put_by_headers,
    ("GET", "/nexus/raw/get"): _get_by_headers,
}


def _caller_from_headers(request: Request) -> Caller:
    headers = request.headers
    return caller_from_headers(
        headers.get("x-tenant-id"), headers.get("x-env", DEFAULT_ENV), _mode(request)
    )


def _writing(request: Request) -> WriteOptions:
    headers = request.headers
    op_id = _op_id(headers.get("idempotency-key"), "Idempotency-Key") or new_op_id()
    return WriteOptions(op_id, wait_of(headers.get("prefer"), services_of(request).own.wait))


def _mode(request: Request) -> Mode:
    said = request.headers.get("x-mode")
    if said is None:
        return Mode.LAB
    if (mode := _MODES.get(said)) is None:
        raise InvalidRequest(
            f"header.X-Mode: it is one of {', '.join(_MODES)}", next_step="see /openapi.json"
        )
    return mode


def _op_id(said: str | None, header: str) -> str | None:
    if said is not None and not _OP_ID.fullmatch(said):
        raise InvalidRequest(f"header.{header}: no op_id", next_step="see /openapi.json")
    return said
