"""Bulk operations: splits them into requests, finds their time limit, collects their answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from signalbox.adapters.port import Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired, SignalboxError

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class RequestSize:
    """Maximum size of one request to a service."""

    records: int
    """Maximum number of records."""
    bytes: int
    """Maximum number of bytes."""

    def cut(self, sizes: Sequence[int]) -> Iterator[range]:
        """Split records of these sizes in bytes into requests of at least one record."""
        begin = total = 0
        for number, size in enumerate(sizes):
            full = number - begin >= self.records or total + size > self.bytes
            if number > begin and full:
                yield range(begin, number)
                begin, total = number, 0
            total += size
        if begin < len(sizes):
            yield range(begin, len(sizes))


UNBOUNDED = RequestSize(2**62, 2**62)
"""The size of a request without a limit."""


def earliest(calls: Sequence[Call]) -> Call:
    """Return the call whose lease ends first: what is done for all of them must end by then."""
    return min(calls, key=lambda call: call.deadline)


def open_calls(calls: Sequence[Call]) -> list[Call]:
    """Return the calls whose lease has not expired; all of them if there are none."""
    now = lease_clock()
    return [call for call in calls if call.deadline > now] or list(calls)


def lapsed(call: Call) -> LeaseExpired | None:
    """Return the error of a call whose lease has expired, else None.

    It must not stop others in a bulk.
    """
    if call.deadline > lease_clock():
        return None
    try:
        call.remaining()
    except LeaseExpired as error:
        return error
    return None


def only(answers: Sequence[Answer | SignalboxError]) -> Answer:
    """Return the answer of a bulk of one; raise it if it is an error."""
    (answer,) = answers
    if isinstance(answer, SignalboxError):
        raise answer
    return answer
