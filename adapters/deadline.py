"""Time limits of a call to a backend, whatever its server does.

A socket's timeout begins again with every byte, so a server that sends one byte a second could hold
a call for ever. Each request therefore has `REQUEST_SECONDS` in all, connecting included.
Transferred bytes extend it, at `STEADY_BYTES_PER_SECOND` and never more than `REQUEST_SECONDS`
ahead, and nothing lasts longer than the lease, which grows with the content itself. A call that
exceeds its limit raises Unavailable, which for a breaker is the same as a server that does not
respond.

An adapter enters `within` for each call. Our own sockets follow it by themselves
(`timed_socket.py`); a client with timeouts of its own is given `Deadline.left`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

from signalbox.adapters.port import TimeLimit
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired, Unavailable

CONNECT_SECONDS = 5.0
"""Maximum seconds for connecting."""
REQUEST_SECONDS = 20.0
"""Seconds for a request, extended by transferred bytes."""
STEADY_BYTES_PER_SECOND = 64 * 1024
"""Minimum transfer rate: a connection that is slower for `REQUEST_SECONDS` counts as hanging."""
ANSWER_BYTES = 32 * 1024 * 1024
"""Maximum size of a response other than an object's content; a page of a list has at most 8 MB."""


Expired = LeaseExpired
"""Raised by work whose lease has expired, which says nothing about the service."""


class Late(TimeoutError):
    """The call exceeded its time limit."""


class TooLong(OSError):
    """The response exceeds its maximum size."""


class Deadline:
    """The time limit of one call and of its current request. For one thread at a time.

    `fault` says what the server did if the call was aborted; no further request is sent then.
    """

    __slots__ = ("_end", "_lapsed", "_max_received", "_moved", "_received", "fault", "limit")

    def __init__(self, limit: TimeLimit) -> None:
        self.limit = limit
        self.fault = ""
        self._lapsed = False
        self.begin()

    def begin(self, max_received: float | None = None) -> None:
        """Begin a request, or another read of its content. Raises Late after a fault.

        The response may have `max_received` bytes (None: `ANSWER_BYTES`).
        """
        if self.fault:
            raise Late
        self._end = lease_clock() + REQUEST_SECONDS
        self._moved = False
        self._received = 0
        self._max_received = ANSWER_BYTES if max_received is None else max_received

    def check(self) -> None:
        """Raise LeaseExpired if the lease has expired, which says nothing about the server."""
        if self.limit.deadline <= lease_clock():
            raise LeaseExpired("the lease ran out before the call")

    def left(self) -> float:
        """Return the seconds left, more than 0. Raises Late."""
        left = min(self._end, self.limit.deadline) - lease_clock()
        if left > 0:
            return left
        if not self._moved and self.limit.deadline <= lease_clock():
            # The worker was suspended: nothing was sent to the server.
            self._lapsed, self.fault = True, "was not asked"
        else:
            self.ran_out()
        raise Late

    def ran_out(self) -> None:
        """Record that a wait for `left` seconds timed out."""
        self.fault = "was too slow: the time of the call is over"

    def sent(self, count: int) -> None:
        """Record that `count` bytes were sent."""
        self._moved = True
        self._end = min(
            self._end + count / STEADY_BYTES_PER_SECOND, lease_clock() + REQUEST_SECONDS
        )

    def received(self, count: int) -> None:
        """Record that `count` bytes were received. Raises TooLong."""
        self._received += count
        if self._received > self._max_received:
            self.fault = "sends an answer that does not end"
            raise TooLong(self.fault)
        self.sent(count)

    def error(self, service: str) -> LeaseExpired | Unavailable:
        """Return the error of a call with a fault."""
        if self._lapsed:
            return LeaseExpired("the lease ran out before the request was sent")
        return Unavailable(
            f"{service} {self.fault}",
            next_step="it is tried again; see `signalbox routes check` if it stays so",
        )


_current: ContextVar[Deadline | None] = ContextVar("signalbox_deadline", default=None)


def current() -> Deadline | None:
    """Return the deadline of the call that this thread is making, None if it makes none."""
    return _current.get()


def enter(deadline: Deadline | None) -> Token[Deadline | None]:
    """Set this thread's deadline until `leave`."""
    return _current.set(deadline)


def leave(token: Token[Deadline | None]) -> None:
    """Restore the deadline from before `enter`."""
    _current.reset(token)


@contextmanager
def within(limit: TimeLimit) -> Iterator[Deadline]:
    """Make one call to a backend within this limit.

    Raises LeaseExpired if its lease has expired.
    """
    deadline = Deadline(limit)
    deadline.check()
    token = enter(deadline)
    try:
        yield deadline
    finally:
        leave(token)
