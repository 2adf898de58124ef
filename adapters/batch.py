"""How a bulk is cut into requests, within whose time each is made, and what comes of a bulk."""

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
    """What one request of a service takes."""

    records: int
    bytes: int

    def cut(self, sizes: Sequence[int]) -> Iterator[range]:
        """Cut a row of records of these sizes in bytes into requests, of one record at least."""
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


def earliest(calls: Sequence[Call]) -> Call:
    """The call whose lease ends first: what is done for all of them is done within it."""
    return min(calls, key=lambda call: call.deadline)


def open_calls(calls: Sequence[Call]) -> list[Call]:
    """Those whose lease has not run out; all of them if none is left."""
    now = lease_clock()
    return [call for call in calls if call.deadline > now] or list(calls)


def lapsed(call: Call) -> LeaseExpired | None:
    """The error of a call whose lease ran out: in a bulk it is not to stop the others."""
    if call.deadline > lease_clock():
        return None
    try:
        call.remaining()
    except LeaseExpired as error:
        return error
    return None


def only(answers: Sequence[Answer | SignalboxError]) -> Answer:
    """The answer to a bulk of one; raises what is wrong with it."""
    (answer,) = answers
    if isinstance(answer, SignalboxError):
        raise answer
    return answer
