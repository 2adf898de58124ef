"""How a connection to the gateway ends: its last response reaches a client that still sends."""

from __future__ import annotations

import asyncio

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from signalbox.commands.error import SignalboxError
from signalbox.gateway.problem import MEDIA_TYPE, body_of, problem_of

LINGER_SECONDS = 2.0
"""How long the rest of a refused body is read before the connection is closed."""


class ClosingProtocol(HttpToolsProtocol):
    """One connection, and how it ends: with its client, with a response, or with a refusal."""

    idle: dict[ClosingProtocol, None]
    """Connections of this server without a current request, the longest idle first."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        """The end of the time for the head, for the body, or for what lingers."""
        self._in_head, self._whole = True, True
        """Whether a head is being received, and whether nothing is."""
        self._running: RequestResponseCycle | None = None
        """The request that is being answered; `cycle` may be a later one."""
        self._unanswered: asyncio.Task[None] | None = None
        """The task of a read, which is cancelled if the connection is lost."""
        self._last: SignalboxError | None = None
        """The refusal that follows the responses to the requests so far, the connection's last."""
        self._lingers = False
        """All is said; what still arrives is not read as requests."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.forget(self._timer)
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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        self._unanswered = task if cycle.scope["method"] in ("GET", "HEAD") else None

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

    def is_over(self) -> bool:
        """Return whether nothing more is read from the connection."""
        return self._lingers or self._last is not None or self.transport.is_closing()

    def refuse(self, error: SignalboxError) -> None:
        """Refuse what is being received, after the responses to the requests before it.

        At once, its refusal would be taken for the response to one of those, which take effect.
        """
        self.forget(self._timer)
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
        self.write_last(error)
        self.linger()

    def write_last(self, error: SignalboxError) -> None:
        """Write the response with an error, after which the connection is closed."""
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
        self.forget(self._timer)
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    @staticmethod
    def forget(timer: asyncio.TimerHandle | None) -> None:
        """Cancel a timer, if there is one."""
        if timer is not None:
            timer.cancel()


class UntilRead:
    """A connection as the response to a request uses it, which closes it at its end."""

    __slots__ = ("_protocol", "is_closing", "write")

    def __init__(self, protocol: ClosingProtocol) -> None:
        transport = protocol.transport
        self._protocol = protocol
        self.write, self.is_closing = transport.write, transport.is_closing

    def close(self) -> None:
        self._protocol.close_when_read()
