"""The open content of an object, whose errors are translated."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from signalbox.adapters.deadline import Deadline
from signalbox.adapters.failure import Reporter
from signalbox.adapters.port import BodyReader
from signalbox.commands.object_store import ObjectInfo


@dataclass(frozen=True)
class ObjectStream:
    """The answer of `get`: what the object is, and `size` bytes from offset `first` on."""

    info: ObjectInfo
    """The object."""
    first: int
    """Offset of the first byte."""
    size: int
    """Number of bytes."""
    body: BodyReader
    """The bytes."""


class LocatedBody:
    """A BodyReader that translates errors and has the time limit of the call that opened it.

    A connection that breaks raises Unavailable; there is never a short read.
    """

    __slots__ = ("_body", "_deadline", "_reporter")

    def __init__(self, body: BodyReader, reporter: Reporter, deadline: Deadline) -> None:
        self._body = body
        self._reporter = reporter
        self._deadline = deadline

    def read(self, size: int = -1, /) -> bytes:
        with self._reporter.errors(self._deadline):
            self._deadline.begin(inf)
            return self._body.read() if size < 0 else self._body.read(size)

    def close(self) -> None:
        self._body.close()
