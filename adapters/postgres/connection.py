"""PostgreSQL connections with the time limit of the current call, whatever the server does.

`statement_timeout` depends on the server, and libpq's timeouts apply to connecting only. Therefore
the thread's `Deadline` is checked between any two steps of psycopg (at least ten per second): a
server that sends slowly, stalls, never reads or never ends is disconnected.
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
"""Maximum bytes from a server before it accepts statements; most of it is certificates."""
_TCP_INFO = getattr(socket, "TCP_INFO", None)
_RECEIVED = struct.Struct("=Q")
_RECEIVED_AT = 128
"""Offset of `tcpi_bytes_received` in Linux' struct tcp_info."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection.

    A server that is too slow or sends too much raises Unavailable and closes it.
    """

    _received = 0
    """Bytes counted so far."""

    @classmethod
    def within(cls, **options: Any) -> BoundedConnection:
        """Connect to any of the host's addresses, within `CONNECT_SECONDS` for all of them.

        Raises psycopg's errors and Unavailable. (The system resolves the name, which may take as
        long as its settings allow.)
        """
        deadline = current()
        try:
            if deadline is not None:
                deadline.begin()
            return cls.connect(**options)
        except (Late, TooLong):
            assert deadline is not None  # noqa: S101 - nothing else raises these
            raise deadline.error("PostgreSQL") from None

    def wait(self, gen: Steps[T], *arguments: Any, **named: Any) -> T:
        deadline = current()
        if deadline is None:
            return super().wait(gen, *arguments, **named)

        def look(_: Any) -> None:
            deadline.left()
            # Waiting for a response means that a request was sent.
            deadline.sent(0)
            received = _received(self.pgconn.socket)
            if received > self._received:
                count, self._received = received - self._received, received
                deadline.received(count)

        try:
            deadline.begin()
            return super().wait(_watched(gen, look), *arguments, **named)
        except (Late, TooLong):
            # At once, without waiting for the server.
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
        """Return whether it is open and idle, and nothing unexpected has arrived.

        Its end would be such a thing.
        """
        if self.closed or self.info.transaction_status != pq.TransactionStatus.IDLE:
            return False
        with selectors.DefaultSelector() as selector, suppress(OSError, ValueError):
            selector.register(self.pgconn.socket, selectors.EVENT_READ)
            return not selector.select(0)
        return False


def _watched(gen: Steps[T], look: Callable[[Any], None]) -> Steps[T]:
    """Run the same steps, with a call of `look` before each wait."""
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
    """Return the bytes that the socket has received; 0 if unknown.

    That is so for Unix sockets, and on systems other than Linux.
    """
    if _TCP_INFO is None:
        return 0
    # It belongs to libpq: detached, not closed.
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
