"""Ranges of bytes, also of an empty object, which HTTP refuses (416) and Signalbox does not."""

from __future__ import annotations

from collections.abc import Callable

from signalbox.adapters.object_stream import ObjectStream
from signalbox.commands.error import Contended, InvalidCommand

LOOKS = 4
"""Maximum number of attempts while the object is replaced."""

OpenAt = Callable[[int | None, int | None], ObjectStream]
"""Opens the bytes between these offsets, inclusive, or all of them."""


class PastEnd(InvalidCommand):
    """The range begins at or after the object's end."""


def span(first: int | None, last: int | None, size: int) -> tuple[int, int]:
    """Return offset and length of the range in an object of `size` bytes. Raises PastEnd.

    A range of an empty object that begins at 0 is empty.
    """
    begin = first or 0
    if begin > 0 and begin >= size:
        raise PastEnd(
            f"the range begins at byte {begin} of {size}", next_step="ask for bytes that are there"
        )
    end = size if last is None else min(last + 1, size)
    return begin, end - begin


def open_range(open_at: OpenAt, first: int | None, last: int | None) -> ObjectStream:
    """Open the range; one from byte 0 of an empty object is empty.

    Raises PastEnd, the errors of `open_at`, and Contended if the object is replaced during each
    attempt.
    """
    for _ in range(LOOKS):
        try:
            return open_at(first, last)
        except PastEnd:
            if first or (first is None and last is None):
                raise
        # There is no byte at 0: the object is empty, or was a moment ago.
        stream = open_at(None, None)
        if stream.info.size == 0:
            return stream
        stream.body.close()
    raise Contended(
        f"the object was replaced under each of {LOOKS} looks", next_step="it is tried again"
    )
