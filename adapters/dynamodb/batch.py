"""How a bulk is cut into requests, and whose lease each of them has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapters.port import Call
from commands.error import LeaseExpired

MOST_ACTIONS = 100
"""Items in a transaction."""
MOST_BYTES = 3 * 1024 * 1024
"""Of the items of one request. DynamoDB takes 4 MB in a transaction."""


def groups(sizes: Sequence[int], most: int = MOST_ACTIONS) -> Iterator[range]:
    """Cut a row of items of these sizes in bytes into requests."""
    begin = total = 0
    for number, size in enumerate(sizes):
        if number > begin and (number - begin >= most or total + size > MOST_BYTES):
            yield range(begin, number)
            begin, total = number, 0
        total += size
    if begin < len(sizes):
        yield range(begin, len(sizes))


def earliest(calls: Sequence[Call]) -> Call:
    """The call whose lease ends first: what is done for all of them is done within it."""
    return min(calls, key=lambda call: call.deadline)


def lapsed(call: Call) -> LeaseExpired | None:
    """The error of a call whose lease ran out: in a batch it is not to stop the others."""
    try:
        call.remaining()
    except LeaseExpired as error:
        return error
    return None
