"""The lease, asked for once more right before each request's first byte.

A writer may be frozen anywhere between its own question and the send: while the SDK signs, or
before a second attempt. The transport is the last place at which it can still refuse itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from azure.core.pipeline.transport import RequestsTransport

from adapters.port import Call

READ_SECONDS = 20.0
_call: ContextVar[Call | None] = ContextVar("signalbox_azure_call", default=None)


@contextmanager
def leased(call: Call) -> Iterator[dict[str, Any]]:
    """An effect: every request within it needs the lease. Gives the bounds of one request, in
    seconds, as the SDK takes them.

    Raises LeaseExpired, also before the first byte of a request within.
    """
    left = call.remaining()
    token = _call.set(call)
    try:
        yield {"timeout": max(1, int(left)), "read_timeout": min(READ_SECONDS, left)}
    finally:
        _call.reset(token)


class LeasedTransport(RequestsTransport):  # type: ignore[misc]  # loaded lazily, so Any to mypy
    """Sends nothing of an effect whose lease is over. Raises LeaseExpired."""

    def send(self, request: Any, **options: Any) -> Any:
        call = _call.get()
        if call is not None:
            call.remaining()
        return super().send(request, **options)
