"""Sockets with the time limit of the current call, and connections of urllib3 that use them.

Before each receive and send, the socket's timeout is set to what is left of the thread's
`Deadline`; no thread or timer is needed. Outside of a call they are ordinary sockets.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from signalbox.adapters.deadline import CONNECT_SECONDS, current

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection as _Connection
else:
    _Connection = object


class _Timed:
    """The methods of plain and TLS sockets."""

    __slots__ = ()

    def recv_into(self, *arguments: Any, **named: Any) -> int:
        deadline = current()
        if deadline is None:
            return int(super().recv_into(*arguments, **named))  # type: ignore[misc]
        self.settimeout(deadline.left())  # type: ignore[attr-defined]
        try:
            count = int(super().recv_into(*arguments, **named))  # type: ignore[misc]
        except TimeoutError:
            deadline.ran_out()
            raise
        deadline.received(count)
        return count

    def recv(self, *arguments: Any, **named: Any) -> bytes:
        deadline = current()
        if deadline is None:
            return bytes(super().recv(*arguments, **named))  # type: ignore[misc]
        self.settimeout(deadline.left())  # type: ignore[attr-defined]
        try:
            content = bytes(super().recv(*arguments, **named))  # type: ignore[misc]
        except TimeoutError:
            deadline.ran_out()
            raise
        deadline.received(len(content))
        return content

    def send(self, *arguments: Any, **named: Any) -> int:
        deadline = current()
        if deadline is None:
            return int(super().send(*arguments, **named))  # type: ignore[misc]
        self.settimeout(deadline.left())  # type: ignore[attr-defined]
        try:
            count = int(super().send(*arguments, **named))  # type: ignore[misc]
        except TimeoutError:
            deadline.ran_out()
            raise
        deadline.sent(count)
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        if current() is None:
            super().sendall(data, flags)  # type: ignore[misc]
            return
        with memoryview(data) as view, view.cast("B") as left:
            done = 0
            while done < len(left):
                done += self.send(left[done:], flags)


class TimedSocket(_Timed, socket.socket):
    """A plain socket with the time limit of the current call."""

    __slots__ = ()


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """A TLS socket with that limit. Python limits its handshake to `CONNECT_SECONDS` in all."""


def follow(plain: socket.socket) -> socket.socket:
    """Make the socket follow the time limits of its threads' calls from now on, and return it."""
    if type(plain) is socket.socket:
        plain.__class__ = TimedSocket
    elif type(plain) is ssl.SSLSocket:
        plain.__class__ = TimedTlsSocket
    return plain


def connect(host: str, port: int, options: Iterable[tuple[Any, ...]] = ()) -> socket.socket:
    """Return a connection to the first of the host's addresses that accepts one.

    All attempts together have the time of the call and `CONNECT_SECONDS`. Raises OSError, which is
    a TimeoutError after that time.
    """
    deadline = current()
    seconds = CONNECT_SECONDS if deadline is None else min(CONNECT_SECONDS, deadline.left())
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("the name has no address")
    for number, (family, kind, protocol, _, address) in enumerate(found):
        made = TimedSocket(family, kind, protocol)
        try:
            for option in options:
                made.setsockopt(*option)
            # Each has its share of what the earlier ones have left.
            made.settimeout(seconds / (len(found) - number))
            made.connect(address)
        except OSError as error:
            made.close()
            failure = error
            continue
        made.settimeout(seconds)
        return made
    raise failure


class TimedConnection(_Connection):
    """Mixed into a connection class of urllib3 or botocore; its sockets follow their call."""

    def _new_conn(self) -> socket.socket:
        if current() is None:
            return super()._new_conn()
        try:
            return connect(self._dns_host, self.port, self.socket_options or ())
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "the connection took too long") from error
        except OSError as error:
            raise NewConnectionError(self, f"no connection: {error}") from error

    def connect(self) -> None:
        if (deadline := current()) is not None:
            deadline.begin()
        super().connect()
        if self.sock is not None:
            # With TLS it is not the socket that was made above.
            self.sock = follow(self.sock)

    def putrequest(self, *arguments: Any, **named: Any) -> None:
        if (deadline := current()) is not None:
            deadline.begin()
        super().putrequest(*arguments, **named)
