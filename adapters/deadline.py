"""How long one call to a backend may take in all, whatever its server does.

The timeout of a socket begins anew with every byte: a server that sends one byte a second would
hold a call for ever. So each request has `REQUEST_SECONDS` for everything, connecting included;
bytes that move earn it more, at `STEADY_BYTES_PER_SECOND`, and never more than `REQUEST_SECONDS`
ahead; and nothing lasts longer than the lease, which grows with the content itself. What is over
this time is an Unavailable, for a breaker the same as a server that is silent.

An adapter enters `within` for each call. Sockets of our making follow it by themselves
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
REQUEST_SECONDS = 20.0
STEADY_BYTES_PER_SECOND = 64 * 1024
"""A connection that is slower over `REQUEST_SECONDS` counts as one that hangs."""
ANSWER_BYTES = 32 * 1024 * 1024
"""No answer is longer, but for the content of an object: a page of a list has 8 MB at most."""


Expired = LeaseExpired
"""What work ends in whose time is over: it says nothing of the service."""


class Late(TimeoutError):
    """The time of the call is over."""


class TooLong(OSError):
    """The answer goes on and on."""


class Deadline:
    """The time of one call, and of the request of it that is under way. For one thread at a time.

    `fault` says what the server did if it was stopped: it is asked nothing more then.
    """

    __slots__ = ("_end", "_lapsed", "_moved", "_received", "_received_most", "fault", "limit")

    def __init__(self, limit: TimeLimit) -> None:
        self.limit = limit
        self.fault = ""
        self._lapsed = False
        self.begin()

    def begin(self, received_most: float | None = None) -> None:
        """A request begins, or another read of its content; its answer has so many bytes at
        most (None: `ANSWER_BYTES`). Raises Late after a fault."""
        if self.fault:
            raise Late
        self._end = lease_clock() + REQUEST_SECONDS
        self._moved = False
        self._received = 0
        self._received_most = ANSWER_BYTES if received_most is None else received_most

    def check(self) -> None:
        """Raise LeaseExpired if it is over: which says nothing of the server."""
        if self.limit.deadline <= lease_clock():
            raise LeaseExpired("the lease ran out before the call")

    def left(self) -> float:
        """Seconds, more than 0. Raises Late."""
        left = min(self._end, self.limit.deadline) - lease_clock()
        if left > 0:
            return left
        if not self._moved and self.limit.deadline <= lease_clock():
            # A worker that was frozen: the server was asked nothing.
            self._lapsed, self.fault = True, "was not asked"
        else:
            self.ran_out()
        raise Late

    def ran_out(self) -> None:
        """A wait of `left` seconds was in vain."""
        self.fault = "was too slow: the time of the call is over"

    def sent(self, count: int) -> None:
        """So many bytes went out."""
        self._moved = True
        self._end = min(
            self._end + count / STEADY_BYTES_PER_SECOND, lease_clock() + REQUEST_SECONDS
        )

    def received(self, count: int) -> None:
        """So many bytes came. Raises TooLong."""
        self._received += count
        if self._received > self._received_most:
            self.fault = "sends an answer that does not end"
            raise TooLong(self.fault)
        self.sent(count)

    def error(self, service: str) -> LeaseExpired | Unavailable:
        """What a call with a fault ends in."""
        if self._lapsed:
            return LeaseExpired("the lease ran out before the request was sent")
        return Unavailable(
            f"{service} {self.fault}",
            next_step="it is tried again; see `signalbox routes check` if it stays so",
        )


_current: ContextVar[Deadline | None] = ContextVar("signalbox_deadline", default=None)


def current() -> Deadline | None:
    """That of the call which this thread makes, if it makes one."""
    return _current.get()


def enter(deadline: Deadline | None) -> Token[Deadline | None]:
    """What follows in this thread has this time, until `leave`."""
    return _current.set(deadline)


def leave(token: Token[Deadline | None]) -> None:
    _current.reset(token)


@contextmanager
def within(limit: TimeLimit) -> Iterator[Deadline]:
    """One call to a backend. Raises LeaseExpired if its lease is over already."""
    deadline = Deadline(limit)
    deadline.check()
    token = enter(deadline)
    try:
        yield deadline
    finally:
        leave(token)
