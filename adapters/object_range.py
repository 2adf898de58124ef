"""Ranges of an empty object, which HTTP refuses (416) and Signalbox answers with no content."""

from __future__ import annotations

from collections.abc import Callable

from signalbox.adapters.object_stream import ObjectStream
from signalbox.commands.error import Contended, InvalidCommand

LOOKS = 4

OpenAt = Callable[[int | None, int | None], ObjectStream]
"""Opens the bytes between these, included, or all of them."""


class PastEnd(InvalidCommand):
    """The range begins at or behind the object's end."""


def span(first: int | None, last: int | None, size: int) -> tuple[int, int]:
    """First byte and number of bytes that are asked for, of `size` that there are; an empty object
    has a beginning. Raises PastEnd."""
    begin = first or 0
    if begin > 0 and begin >= size:
        raise PastEnd(
            f"the range begins at byte {begin} of {size}", next_step="ask for bytes that are there"
        )
    end = size if last is None else min(last + 1, size)
    return begin, end - begin


def open_range(open_at: OpenAt, first: int | None, last: int | None) -> ObjectStream:
    """The range; from byte 0 of an empty object on it is empty.

    Raises PastEnd and whatever else `open_at` does, and Contended for an object that is replaced
    under each look.
    """
    for _ in range(LOOKS):
        try:
            return open_at(first, last)
        except PastEnd:
            if first or (first is None and last is None):
                raise
        # No byte is at 0: it is empty, or was a moment ago.
        stream = open_at(None, None)
        if stream.info.size == 0:
            return stream
        stream.body.close()
    raise Contended(
        f"the object was replaced under each of {LOOKS} looks", next_step="it is tried again"
    )
