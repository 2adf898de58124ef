"""Limits of HTTP connections: their number, the size of heads, and the slowness of clients."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser
from starlette.types import Receive, Scope, Send
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from signalbox.commands.error import SignalboxError
from signalbox.gateway.error import (
    HeadersTooLarge,
    InvalidRequest,
    RequestTimeout,
    TooManyConnections,
)
from signalbox.gateway.problem import MEDIA_TYPE, body_of, problem, problem_of
from signalbox.gateway.settings import GatewaySettings

DENSEST_FRAMING = 8
"""Maximum bytes of framing for each byte of a chunked body; chunks of one byte have five."""
SLOWEST_BYTES = 64 * 1024
"""Each time this many bytes of a body have arrived, it may take one second longer."""
LINGER_SECONDS = 2.0
"""How long the rest of a refused body is read before the connection is closed."""


def protocol_of(own: GatewaySettings) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol class with the limits of these settings."""
    return type("GatewayProtocol", (BoundedProtocol,), {"own": own, "idle": {}})


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Requests that it refuses reach no application."""

    own: GatewaySettings
    """The limits."""
    idle: dict[BoundedProtocol, None]
    """Connections of this server without a current request, the longest idle first."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._in_head, self._ended, self._whole = True, False, True
        self._head_bytes = self._head_count = 0
        self._framing = self._body_bytes = 0
        self._running: RequestResponseCycle | None = None
        """The request that is being answered; `cycle` may be a later one."""
        self._unanswered: asyncio.Task[None] | None = None
        """The task of a read, which is cancelled if the connection is lost."""
        self._last: SignalboxError | None = None
        """The refusal that follows the responses to the requests so far, the connection's last."""
        self._lingers = False
        """All is said; what still arrives is not read as requests."""
        self._await_head()
        if len(self.connections) > self.own.connections:
            # The connection that is idle for longest makes room, so that idle clients block nobody.
            next(iter(self.idle), self)._make_room()
        if not self.transport.is_closing():
            self.idle[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget(self._timer)
        self._forget(self._stalled)
        self.idle.pop(self, None)
        self.pipeline.clear()
        super().connection_lost(exc)
        self._disconnect()
        running = self._running
        if self._unanswered is not None and running is not None and not running.response_started:
            self._unanswered.cancel()

    def _disconnect(self) -> None:
        """Tell the handler of the current request that its client has disconnected."""
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._is_over():
            return
        if self._in_head and self._timer is None:
            self._await_head()
        self._ended = False
        self._received = data
        super().data_received(data)
        if self._is_over() or self._whole:
            return
        if self._in_head:
            if self._timer is None:
                self._await_head()
            # After the end of a request, only part of what was received belongs to the next head.
            self._head_bytes += 0 if self._ended else len(data)
            if self._head_bytes > self.own.header_limit_bytes:
                self._refuse(self._too_large())
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
        self._forget(self._timer)
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
        else:
            refusal = self._take_authority()
        usual = self.app
        if refusal is not None:
            self.app = _Refusal(refusal)
        try:
            super().on_headers_complete()
        finally:
            self.app = usual
        self._in_head = False
        self.cycle.transport = _UntilRead(self)  # type: ignore[assignment]
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
        self._forget(self._timer)
        self._timer = None
        # The next request's head begins with its first byte.
        self._in_head = self._ended = self._whole = True
        self._head_bytes = 0

    def on_response_complete(self) -> None:
        # Only after the last request; the ones after it on the connection may be others'.
        is_last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing() or self._lingers or not is_last:
            return
        if self._last is not None:
            self._respond_last(self._last)
            return
        self.idle[self] = None
        if self.cycle.response_complete and self.cycle.more_body:
            # Read on for a moment, so that the response reaches a client that is still sending.
            self._close_in_a_moment()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        self._unanswered = task if cycle.scope["method"] in ("GET", "HEAD") else None

    def pause_writing(self) -> None:
        super().pause_writing()
        seconds = self.own.body_seconds.total_seconds()
        self._stalled = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._forget(self._stalled)
        self._stalled = None
        super().resume_writing()

    def _should_upgrade(self) -> bool:
        """Return whether the parser takes what follows this head for another protocol's.

        It does so for every request that offers one; Java's client offers h2c.
        """
        parser = self.parser
        return bool(parser.should_upgrade()) and parser.get_method() != b"CONNECT"

    def handle_websocket_upgrade(self) -> None:
        """Parse the request again without the offer, which a server may ignore (RFC 9110, 7.8)."""
        error = sys.exception()
        assert isinstance(error, HttpParserUpgrade)  # noqa: S101 - called only while this is handled
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                kept = [each for each in value.split(b",") if each.strip().lower() != b"upgrade"]
                value = b",".join(kept)
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        self.parser = HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", self._received[error.args[0] :]]))

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidRequest("this is no HTTP request", next_step="send HTTP/1.1"))

    def _take_authority(self) -> SignalboxError | None:
        """Use the host of an absolute request address instead of the header (RFC 9112, 3.2.2)."""
        if self.url.startswith((b"/", b"*")) or self.parser.get_method() == b"CONNECT":
            return None
        scheme, _, rest = self.url.partition(b"://")
        authority = rest.partition(b"/")[0].partition(b"?")[0]
        if scheme.lower() not in (b"http", b"https") or b"@" in authority:
            return InvalidRequest(
                "the request line names neither a path nor a plain http address",
                next_step="send a path, such as GET /healthz",
            )
        if any(name == b"host" for name, _ in self.headers):
            self.headers[:] = [
                (name, authority if name == b"host" else value) for name, value in self.headers
            ]
        return None

    def _make_room(self) -> None:
        """Close this connection, which is idle or exceeds the limit."""
        self.idle.pop(self, None)
        if not self._lingers:
            self._write_last(_too_many("connections are open"))
        self.transport.close()

    def _refuse_framing(self) -> None:
        """Refuse a body that is mostly framing, such as extensions of chunks."""
        self._refuse(
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
        self._refuse(
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
        self._refuse(
            RequestTimeout("the request's head did not come in time", next_step="send it faster")
        )

    def _is_over(self) -> bool:
        """Return whether nothing more is read from the connection."""
        return self._lingers or self._last is not None or self.transport.is_closing()

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

    def _refuse(self, error: SignalboxError) -> None:
        """Refuse what is being received, after the responses to the requests before it.

        At once, its refusal would be taken for the response to one of those, which take effect.
        """
        self._forget(self._timer)
        self._timer = None
        if self._in_head:
            if self.cycle is None or self.cycle.response_complete:
                self._respond_last(error)
            else:
                self._last = error
        elif self.cycle is not self._running:
            self._last = error
            self.pipeline.popleft()  # this one, which came last
        elif self.cycle.response_complete:
            self.linger()
        elif self.cycle.response_started:
            self.transport.close()
        else:
            # Instead of its handler, which is told that the client has disconnected.
            self._respond_last(error)

    def _respond_last(self, error: SignalboxError) -> None:
        """Respond with an error now, and close the connection."""
        self._write_last(error)
        self.linger()

    def _write_last(self, error: SignalboxError) -> None:
        document = problem_of(error)
        body = body_of(document)
        head = [
            STATUS_LINE[document["status"]],
            b"content-type: " + MEDIA_TYPE.encode() + b"\r\n",
            b"content-length: %d\r\n" % len(body),
            b"retry-after: 1\r\n" if document["status"] == 503 else b"",
            b"connection: close\r\n\r\n",
        ]
        self.transport.write(b"".join([*head, body]))

    def close_when_read(self) -> None:
        """Close the connection, at once if the client has nothing left to send."""
        if self._whole or self.transport.is_closing():
            self.transport.close()
        else:
            self.linger()

    def linger(self) -> None:
        """Say that all is said, and close the connection in a moment.

        The system would tell a client that is still sending that its connection is broken, and
        drop what it has not read yet.
        """
        self._lingers = True
        self.idle[self] = None
        self._disconnect()
        self.pipeline.clear()
        self.flow.resume_reading()
        self._close_in_a_moment()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _close_in_a_moment(self) -> None:
        self._forget(self._timer)
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    @staticmethod
    def _forget(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


def _too_many(what: str) -> TooManyConnections:
    return TooManyConnections(f"too many {what}", next_step="try again in a moment")


class _UntilRead:
    """A connection as the response to a request uses it, which closes it at its end."""

    __slots__ = ("_protocol", "is_closing", "write")

    def __init__(self, protocol: BoundedProtocol) -> None:
        transport = protocol.transport
        self._protocol = protocol
        self.write, self.is_closing = transport.write, transport.is_closing

    def close(self) -> None:
        self._protocol.close_when_read()


class _Refusal:
    """An application that responds with an error and closes the connection."""

    def __init__(self, error: SignalboxError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        await problem(self._error, headers={"Connection": "close"})(scope, receive, send)
