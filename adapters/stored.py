"""Errors for stored records that are not as Signalbox writes them.

Anyone with access to the backend may have written them. What a response may be at all is checked in
`answer.py`.
"""

from __future__ import annotations

import struct
from types import TracebackType
from typing import Final

from signalbox.commands.error import IntegrityMismatch, InvalidCommand

UNREADABLE: Final = (
    *(KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError),
    *(RecursionError, struct.error),
    # A value's own check, which assumes that a caller sent it.
    InvalidCommand,
)
"""Exceptions that reading a foreign record may raise."""


def damaged(what: str, error: Exception) -> IntegrityMismatch:
    """Return the error for a damaged record; it reveals nothing of the content."""
    return IntegrityMismatch(
        f"{what} is not as Signalbox stores it ({type(error).__name__})",
        next_step="see who else writes to this place; restore what was there, or write it again",
    )


class readable:  # noqa: N801 - used like a function; contextlib's would cost more than a key
    """Raise IntegrityMismatch for whatever reading `what` inside raises."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, UNREADABLE):
            raise damaged(self._what, error) from error
