"""The content of an object as it is handed on, and its failures as typed errors."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from signalbox.adapters.deadline import Deadline
from signalbox.adapters.failure import Reporter
from signalbox.adapters.port import BodyReader
from signalbox.commands.object_store import ObjectInfo


@dataclass(frozen=True)
class ObjectStream:
    """The answer of `get`: what the object is, and its bytes from `first` on, `size` of them."""

    info: ObjectInfo
    first: int
    size: int
    body: BodyReader


class LocatedBody:
    """A BodyReader over a driver's, with the time of the call that opened it. A connection that
    breaks off raises Unavailable, never a short read."""

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
