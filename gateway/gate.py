"""The gate before all handlers: checks access and headers, and passes on the path undecoded."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from signalbox.commands.error import SignalboxError
from signalbox.gateway.access import Access
from signalbox.gateway.error import InvalidRequest, NotReady, UnsupportedMediaType
from signalbox.gateway.identity import AGAIN
from signalbox.gateway.identity import KEY as IDENTITY
from signalbox.gateway.permissions import Permissions
from signalbox.gateway.problem import problem, unforeseen
from signalbox.gateway.settings import GatewaySettings
from signalbox.gateway.url_text import decoded
from signalbox.gateway.whole_response import respond_at_once

log = structlog.get_logger("signalbox.gateway")

_LAST = "http.response.body"
_MAY_REPEAT = frozenset(
    b"accept accept-encoding accept-language cache-control connection cookie forwarded via te "
    b"pragma x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-real-ip "
    b"traceparent tracestate".split()
)
_EXPOSED = "ETag, Location, Retry-After, Content-Range, X-Op-Id, X-Backend-Type, X-Route-Revision"


FastPath = Callable[[str, str], Callable[[Request], Awaitable[Response]] | None]
"""Returns the handler that answers a request (method, path) without the application, if any."""


class Gate:
    """An ASGI application around the application. Requests that it refuses reach no handler."""

    def __init__(self, app: FastAPI, own: GatewaySettings, fast_path: FastPath) -> None:
        """`fast_path` returns handlers that bypass the application. Raises InvalidSetting."""
        self._app = app
        self._fast_path = fast_path
        self._own = own
        self._access = Access(own)
        self._permissions = Permissions(lambda method, path: method in app.state.methods_of(path))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin: str | None = None
        try:
            headers = _single(scope["headers"])
            _check_framing(scope, headers)
        except SignalboxError as error:
            # Others may read another request from what follows it, so nothing is.
            await problem(error, headers={"Connection": "close"})(scope, receive, send)
            return
        try:
            _check_coding(headers)
            origin = self._access.check_origin(headers)
            if origin is not None:
                send = _with_cors(send, origin)
                if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                    self._access.check_host(headers)
                    await _preflight(headers)(scope, receive, send)
                    return
            path = _path(scope)
            token = self._access.check(scope["method"], path, headers)
        except SignalboxError as error:
            await problem(error)(scope, receive, send)
            return
        # As it was sent: its parts are separated before they are decoded.
        scope["path"] = path
        began = ended = False
        try:
            if token is not None:
                try:
                    await self._identify(scope, token, headers)
                except SignalboxError as error:
                    await problem(error)(scope, receive, send)
                    return
            handler = self._fast_path(scope["method"], path)
            if handler is None:

                async def watched(message: Message) -> None:
                    nonlocal began, ended
                    began = True
                    ended = message["type"] == _LAST and not message.get("more_body", False)
                    await send(message)

                await self._app(scope, receive, watched)
            else:
                scope["app"] = self._app
                response = await handler(SingleRequest(scope, receive, headers))
                began = True
                if not respond_at_once(send, response):
                    await response(scope, receive, send)
        except asyncio.CancelledError:  # The server stops and waits no longer.
            if began:
                raise
            stopped = NotReady(
                "the gateway stopped before it had an answer",
                next_step="send the same again, a write under the same Idempotency-Key",
            )
            await problem(stopped, headers={"Connection": "close"})(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - ends only this request
            _log(scope, error)
            if ended:
                return  # the application has responded to it
            if began:
                raise Aborted from None  # the server closes the connection
            await unforeseen(error)(scope, receive, send)

    async def _identify(self, scope: Scope, token: bytes, headers: dict[bytes, bytes]) -> None:
        """Find out whose token it is, and check that they may make this call."""
        identity = await self._app.state.authentication.identify(token)
        method, path = scope["method"], scope["path"]
        self._permissions.check(identity, method, path, headers, scope["query_string"])
        scope[IDENTITY] = identity
        scope[AGAIN] = partial(self._identify, scope, token, headers)


class Aborted(Exception):
    """A response that cannot be completed: its reader must see that it is incomplete."""


class SingleRequest(Request):
    """A request in which each header occurs once, so that a header is found by one look-up."""

    def __init__(self, scope: Scope, receive: Receive, named: dict[bytes, bytes]) -> None:
        super().__init__(scope, receive)
        self._headers = _Headers(scope["headers"], named)


class _Headers(Headers):
    def __init__(self, every: list[tuple[bytes, bytes]], named: dict[bytes, bytes]) -> None:
        super().__init__(raw=every)
        self._named = named

    def __getitem__(self, key: str) -> str:
        return self._named[key.lower().encode("latin-1")].decode("latin-1")

    def get(self, key: str, default: Any = None) -> Any:
        value = self._named.get(key.lower().encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def __contains__(self, key: object) -> bool:
        return str(key).lower().encode("latin-1") in self._named


def _log(scope: Scope, error: Exception) -> None:
    """Log which error occurred and where, but not its text, which may quote the body."""
    known = error if isinstance(error, SignalboxError) else None
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    log.error(
        "a request failed",
        method=scope["method"],
        path=scope["path"],
        error=known.code if known else type(error).__name__,
        at=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    )


def _single(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by name. Raises InvalidRequest for a repeated header that must occur once."""
    named = dict(headers)
    if len(named) < len(headers):
        for name, times in Counter(name for name, _ in headers).items():
            if times > 1 and name not in _MAY_REPEAT:
                raise InvalidRequest(
                    f"the header {name.decode('latin-1')[:60]} comes {times} times",
                    next_step="send it once",
                )
    return named


def _check_framing(scope: Scope, headers: dict[bytes, bytes]) -> None:
    """Raise InvalidRequest if the body has a transfer coding that nobody undoes."""
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        return
    if coding.strip().lower() != b"chunked" or scope["http_version"] != "1.1":
        raise InvalidRequest(
            "the body has a transfer coding other than chunked, or is not of HTTP/1.1",
            next_step="send Content-Length, or HTTP/1.1 with Transfer-Encoding: chunked",
        )


def _check_coding(headers: dict[bytes, bytes]) -> None:
    """Refuse a body that would be stored as if it were the whole content, and is not.

    Raises InvalidRequest for a part, and UnsupportedMediaType for an encoding, which nothing would
    tell a reader of.
    """
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding not in (b"", b"identity"):
        raise UnsupportedMediaType(
            f"the body is encoded as {encoding.decode('latin-1')[:60]}",
            next_step="send it without Content-Encoding; one that is to be stored as it is may say "
            "so in a header X-Meta-Encoding",
        )
    if b"content-range" in headers:
        raise InvalidRequest(
            "the body is a part of the content (Content-Range)", next_step="send the whole content"
        )


def _path(scope: Scope) -> str:
    path = scope["raw_path"].decode("ascii", "replace")
    query = scope["query_string"]
    if b"%" in query or not query.isascii():
        decoded(query.decode("latin-1") if query.isascii() else "%")
    return str(path)


def _preflight(headers: dict[bytes, bytes]) -> Response:
    asked = headers.get(b"access-control-request-headers", b"").decode("latin-1")
    allowed = {
        "Access-Control-Allow-Methods": "GET, HEAD, PUT, POST, DELETE",
        "Access-Control-Allow-Headers": asked,
        "Access-Control-Max-Age": "600",
    }
    return Response(None, 204, allowed)


def _with_cors(send: Send, origin: str) -> Send:
    cors_headers: list[tuple[bytes, bytes]] = [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED.encode()),
        (b"vary", b"Origin"),
    ]

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *cors_headers]
        await send(message)

    return named
