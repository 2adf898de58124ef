"""Writes a response whose body is there in one piece, past the framework's messages."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from signalbox.gateway.answer import Json

_WHOLE = (Response, Json)
"""Types of responses whose body is there and has its length among the headers."""


def respond_at_once(send: Send, response: Response) -> bool:
    """Write a whole response in one piece, which takes a third of the time of `send`.

    Return False, with nothing written, if only `send` can: for a HEAD request, a client that is
    slow or gone, or a response that closes the connection.
    """
    cycle = getattr(send, "__self__", None)
    if (
        not isinstance(cycle, RequestResponseCycle)
        or type(response) not in _WHOLE
        or cycle.response_started
        or cycle.disconnected
        or cycle.flow.write_paused
        or cycle.access_log
        or cycle.scope["method"] == "HEAD"
    ):
        return False
    headers = cycle.default_headers + response.raw_headers
    lines = [STATUS_LINE[response.status_code]]
    for name, value in headers:
        if name == b"connection":
            return False
        lines += (name, b": ", value, b"\r\n")
    if not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    head = b"".join(lines)
    ends = 1 + len(headers) + (not cycle.keep_alive)
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise RuntimeError("a header holds the end of a line")
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"".join((head, b"\r\n", response.body)))
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
