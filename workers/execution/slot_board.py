"""Who holds the slots of a worker, in memory that the processes of its pool share."""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterable

PLACES = 512
"""Slots at most; messages beyond them are not counted, and have all they get."""
MAX_TENANTS = 100
"""Of one message so many tenants are noted."""
_HEAD = struct.Struct("I")
_PLACE = struct.Struct("dI")
_SIZE = _PLACE.size + 4 + 4 * MAX_TENANTS
_AT = [8 + number * _SIZE for number in range(PLACES)]

Held = tuple[float, frozenset[int]]
"""Since when (monotonic seconds), and digests of the tenants whose commands run there."""


def digest(tenant: str) -> int:
    return zlib.crc32(tenant.encode())


class Board:
    """A place for each slot, which one process or thread writes and all read.

    Made before a pool forks. A read that meets a write may see neither state; what is decided from
    it is which command waits a few seconds.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _AT[-1] + _SIZE)

    @property
    def number(self) -> int:
        """Messages that the worker runs at a time where nothing is slow; 0: nobody counts."""
        return int(_HEAD.unpack_from(self._memory)[0])

    @number.setter
    def number(self, number: int) -> None:
        _HEAD.pack_into(self._memory, 0, number)

    def take(self, place: int, since: float, tenants: Iterable[int] = ()) -> None:
        noted = list(tenants)[:MAX_TENANTS]
        struct.pack_into(f"dI{len(noted)}I", self._memory, _AT[place], since, len(noted), *noted)

    def leave(self, place: int) -> None:
        struct.pack_into("d", self._memory, _AT[place], 0.0)

    def held(self) -> list[Held]:
        """Of the places that a worker with so many slots may use, those that are held."""
        found: list[Held] = []
        for at in _AT[: 2 * self.number]:
            since, count = _PLACE.unpack_from(self._memory, at)
            if since:
                tenants = struct.unpack_from(f"{count}I", self._memory, at + _PLACE.size)
                found.append((since, frozenset(tenants)))
        return found
