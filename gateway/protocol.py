"""Limits of HTTP connections: their number, the size of heads, and the slowness of clients."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from signalbox.commands.error import SignalboxError
from signalbox.gateway.closing_protocol import ClosingProtocol, UntilRead
from signalbox.gateway.error import (
    HeadersTooLarge,
    InvalidRequest,
    RequestTimeout,
    TooManyConnections,
)
from signalbox.gateway.problem import problem
from signalbox.gateway.request_head import offers_upgrade, take_authority, without_upgrade
from signalbox.gateway.settings import GatewaySettings

DENSEST_FRAMING = 8
"""Maximum bytes of framing for each byte of a chunked body; chunks of one byte have five."""
SLOWEST_BYTES = 64 * 1024
"""Each time this many bytes of a body have arrived, it may take one second longer."""


def protocol_of(own: GatewaySettings) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol class with the limits of these settings."""
    return type("GatewayProtocol", (BoundedProtocol,), {"own": own, "idle": {}})


class BoundedProtocol(ClosingProtocol):
    """One connection and its limits. Requests that it refuses reach no application."""

    own: GatewaySettings
    """The limits."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._stalled: asyncio.TimerHandle | None = None
        self._ended = False
        """Whether a request ended in what was received last."""
        self._head_bytes = self._head_count = 0
        self._framing = self._body_bytes = 0
        self._await_head()
        if len(self.connections) > self.own.connections:
            # The connection that is idle for longest makes room, so that idle clients block nobody.
            longest = next(iter(self.idle), self)
            assert isinstance(longest, BoundedProtocol)  # noqa: S101 - all of this server are
            longest._make_room()
        if not self.transport.is_closing():
            self.idle[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.forget(self._stalled)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_over():
            return
        if self._in_head and self._timer is None:
            self._await_head()
        self._ended = False
        self._received = data
        super().data_received(data)
        self._received = b""  # hundreds of KiB for each slow client otherwise
        if self.is_over() or self._whole:
            return
        if self._in_head:
            if self._timer is None:
                self._await_head()
            # After the end of a request, only part of what was received belongs to the next head.
            self._head_bytes += 0 if self._ended else len(data)
            if self._head_bytes > self.own.header_limit_bytes:
                self.refuse(self._too_large())
        else:
            if self._timer is None:
                self._timer = self.loop.call_later(self._body_left(), self._body_is_late)
            self._framing += len(data)
            if self._framing > self.own.header_limit_bytes + DENSEST_FRAMING * self._body_bytes:
                self._refuse_framing()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._whole = True, False
        self._head_count = self._head_bytes = 0
        self._counted = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._counted += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        value = value.rstrip()  # The parser leaves the spaces after it.
        super().on_header(name, value)
        self._counted += len(name) + len(value) + 4
        self._head_count += 1
        if not self._in_head and self._is_too_large():  # trailers
            self.transport.close()

    def on_headers_complete(self) -> None:
        if self._should_upgrade():
            return
        self.forget(self._timer)
        self._timer = None
        self.idle.pop(self, None)
        # Framing received together with the head is not counted.
        self._framing, self._body_bytes = -len(self._received), 0
        self._body_since = self.loop.time()
        refusal: SignalboxError | None = None
        if self._is_too_large():
            refusal = self._too_large()
        elif len(self.tasks) >= 2 * self.own.connections:
            # Each connection has one; the clients of the others are gone.
            refusal = _too_many("requests are being answered")
        elif (version := self.parser.get_http_version()) not in ("1.1", "1.0"):
            refusal = InvalidRequest(
                f"the request is of HTTP/{version}", next_step="send HTTP/1.1 or HTTP/1.0"
            )
        else:
            refusal = take_authority(self.parser.get_method(), self.url, self.headers)
        usual = self.app
        if refusal is not None:
            self.app = _Refusal(refusal)
        try:
            super().on_headers_complete()
        finally:
            self.app = usual
        self._in_head = False
        self.cycle.transport = UntilRead(self)  # type: ignore[assignment]
        if self.expect_100_continue:
            # A client that is refused before it was told to continue sends no body, and its next
            # request would be taken for one.
            self.cycle.keep_alive = False
        # Trailers after a body are no headers of the request.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._framing -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._should_upgrade():
            return
        super().on_message_complete()
        self.forget(self._timer)
        self._timer = None
        # The next request's head begins with its first byte.
        self._in_head = self._ended = self._whole = True
        self._head_bytes = 0

    def pause_writing(self) -> None:
        super().pause_writing()
        seconds = self.own.body_seconds.total_seconds()
        self._stalled = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self.forget(self._stalled)
        self._stalled = None
        super().resume_writing()

    def _should_upgrade(self) -> bool:
        return offers_upgrade(self.parser)

    def handle_websocket_upgrade(self) -> None:
        """Parse the request again without the offer of another protocol."""
        error = sys.exception()
        assert isinstance(error, HttpParserUpgrade)  # noqa: S101 - called only while this is handled
        head = without_upgrade(self.parser.get_method(), self.url, self.headers)
        self.parser = HttpRequestParser(self)
        self.data_received(head + self._received[error.args[0] :])

    def send_400_response(self, msg: str) -> None:
        self.refuse(InvalidRequest("this is no HTTP request", next_step="send HTTP/1.1"))

    def _make_room(self) -> None:
        """Close this connection, which is idle or exceeds the limit."""
        self.idle.pop(self, None)
        if not self._lingers:
            self.write_last(_too_many("connections are open"))
        self.transport.close()

    def _refuse_framing(self) -> None:
        """Refuse a body that is mostly framing, such as extensions of chunks."""
        self.refuse(
            InvalidRequest(
                "the chunks of the body carry more than their content",
                next_step="send larger chunks, without extensions",
            )
        )

    def _body_left(self) -> float:
        """Return the seconds until the rest of the body must have arrived."""
        allowed = self.own.body_seconds.total_seconds() + self._body_bytes / SLOWEST_BYTES
        return self._body_since + allowed - self.loop.time()

    def _body_is_late(self) -> None:
        self._timer = None
        if self.transport.is_closing() or self._whole:
            return
        left = self._body_left()
        if left <= 0 and self.flow.read_paused:
            left = 1.0  # It arrives faster than it is read.
        if left > 0:
            self._timer = self.loop.call_later(left, self._body_is_late)
            return
        self.refuse(
            RequestTimeout("the body did not come in time", next_step="send it faster, or in parts")
        )

    def _await_head(self) -> None:
        seconds = self.own.header_seconds.total_seconds()
        self._timer = self.loop.call_later(seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._timer = None
        if self.transport.is_closing() or not self._in_head:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            return  # it waits for the response to the previous request
        self.refuse(
            RequestTimeout("the request's head did not come in time", next_step="send it faster")
        )

    def _is_too_large(self) -> bool:
        return (
            self._counted > self.own.header_limit_bytes or self._head_count > self.own.header_limit
        )

    def _too_large(self) -> HeadersTooLarge:
        return HeadersTooLarge(
            f"a request's line and headers have at most {self.own.header_limit_bytes} bytes, in "
            f"{self.own.header_limit} headers",
            next_step="send less; long values belong in the body",
        )


def _too_many(what: str) -> TooManyConnections:
    return TooManyConnections(f"too many {what}", next_step="try again in a moment")


class _Refusal:
    """An application that responds with an error and closes the connection."""

    def __init__(self, error: SignalboxError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        await problem(self._error, headers={"Connection": "close"})(scope, receive, send)
