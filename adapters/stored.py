"""What a backend gave cannot be what was asked for, or what Signalbox stores: typed, and for good.

Anyone with access to the backend may have written there, and an endpoint may be anyone's.
"""

from __future__ import annotations

import struct
from types import TracebackType
from typing import Final

from commands.error import IntegrityMismatch, InvalidCommand

UNREADABLE: Final = (
    *(KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError),
    *(RecursionError, struct.error),
    # A value's own check, which takes it for a caller's.
    InvalidCommand,
)
"""What reading a record that Signalbox did not write may raise."""


def unreadable(what: str, error: Exception) -> IntegrityMismatch:
    """For `what` is not as Signalbox writes it. Nothing of its content is told."""
    return IntegrityMismatch(
        f"{what} is not as Signalbox stores it ({type(error).__name__})",
        next_step="see who else writes to this place; restore what was there, or write it again",
    )


class readable:  # noqa: N801 - used like a function; one made by contextlib costs more than a key
    """Raise IntegrityMismatch for whatever reading `what` inside raises."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, UNREADABLE):
            raise unreadable(self._what, error) from error


def not_asked(what: str) -> IntegrityMismatch:
    """For an answer that does not belong to its question."""
    return IntegrityMismatch(
        f"the backend gave {what}, which was not asked for",
        next_step="see what stands behind the route's address, and switch the route",
    )
