"""Connections that end with the call that uses them, whatever their server does.

`statement_timeout` is the server's to keep, and libpq's timeouts are for connecting alone. So
between any two steps of psycopg's (it takes one at least every tenth of a second) the `Deadline` of
the thread is looked at: a server that drips, stalls, never reads or never ends is cut off.
"""

from __future__ import annotations

import selectors
import socket
import struct
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg import pq

from signalbox.adapters.deadline import ANSWER_BYTES, CONNECT_SECONDS, Late, TooLong, current
from signalbox.commands.clock import lease_clock

T = TypeVar("T")
Steps = Generator[Any, Any, T]
GREETING_BYTES = 256 * 1024
"""Of all that a server says until it takes statements: certificates are the most of it."""
_TCP_INFO = getattr(socket, "TCP_INFO", None)
_RECEIVED = struct.Struct("=Q")
_RECEIVED_AT = 128
"""Where `tcpi_bytes_received` stands in Linux' struct tcp_info."""


class BoundedConnection(psycopg.Connection[Any]):
    """Raises Unavailable for a server that is too slow or sends too much, and is closed then."""

    _received = 0
    """Bytes that were counted already."""

    @classmethod
    def within(cls, **options: Any) -> BoundedConnection:
        """A new one, by any of the host's addresses, within `CONNECT_SECONDS` for all of them.
        Raises psycopg's errors and Unavailable. (The name is resolved by the system, which takes
        as long as its own settings let it.)"""
        deadline = current()
        try:
            if deadline is not None:
                deadline.begin()
            return cls.connect(**options)
        except (Late, TooLong):
            assert deadline is not None  # noqa: S101 - who else has raised it
            raise deadline.error("PostgreSQL") from None

    def wait(self, gen: Steps[T], *arguments: Any, **named: Any) -> T:
        deadline = current()
        if deadline is None:
            return super().wait(gen, *arguments, **named)

        def look(_: Any) -> None:
            deadline.left()
            # Who waits for an answer has asked.
            deadline.sent(0)
            received = _received(self.pgconn.socket)
            if received > self._received:
                count, self._received = received - self._received, received
                deadline.received(count)

        try:
            deadline.begin()
            return super().wait(_watched(gen, look), *arguments, **named)
        except (Late, TooLong):
            # At once, and without waiting for the server's leave.
            self.close()
            raise deadline.error("PostgreSQL") from None

    @classmethod
    def _connect_gen(cls, *arguments: Any, **named: Any) -> Any:
        gen = super()._connect_gen(*arguments, **named)
        deadline = current()
        if deadline is None:
            return gen
        end = lease_clock() + CONNECT_SECONDS

        def look(wanted: Any) -> None:
            deadline.left()
            deadline.sent(0)
            if lease_clock() > end:
                deadline.ran_out()
                raise Late
            if _received(wanted[0]) > GREETING_BYTES:
                deadline.received(ANSWER_BYTES + 1)

        return _watched(gen, look)

    def is_quiet(self) -> bool:
        """Whether it is open and idle, and nothing has come that nobody asked for, such as its
        end."""
        if self.closed or self.info.transaction_status != pq.TransactionStatus.IDLE:
            return False
        with selectors.DefaultSelector() as selector, suppress(OSError, ValueError):
            selector.register(self.pgconn.socket, selectors.EVENT_READ)
            return not selector.select(0)
        return False


def _watched(gen: Steps[T], look: Callable[[Any], None]) -> Steps[T]:
    """The same steps, with a look before each wait."""
    try:
        wanted = next(gen)
        while True:
            look(wanted)
            ready = yield wanted
            wanted = gen.send(ready)
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        gen.close()


def _received(descriptor: int) -> int:
    """Bytes that the socket has received so far; 0 where that is not known: on a socket of this
    machine, and on systems other than Linux."""
    if _TCP_INFO is None:
        return 0
    # It is libpq's: given back, not closed.
    borrowed = socket.socket(fileno=descriptor)
    try:
        if borrowed.family not in (socket.AF_INET, socket.AF_INET6):
            return 0
        info = borrowed.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 256)
    except OSError:
        return 0
    finally:
        borrowed.detach()
    if len(info) < _RECEIVED_AT + _RECEIVED.size:
        return 0
    count: int = _RECEIVED.unpack_from(info, _RECEIVED_AT)[0]
    return count
