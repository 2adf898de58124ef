"""The slot board: which slots of a worker are in use, in memory that its processes share."""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterable

MAX_SLOTS = 512
"""Maximum number of slots; messages beyond are not recorded, and not limited."""
MAX_TENANTS = 100
"""Maximum number of tenants recorded for one message."""
_HEAD = struct.Struct("I")
_SLOT = struct.Struct("dI")
_SIZE = _SLOT.size + 4 + 4 * MAX_TENANTS
_AT = [8 + number * _SIZE for number in range(MAX_SLOTS)]

Held = tuple[float, frozenset[int]]
"""Since when a slot is in use (monotonic seconds), and digests of the tenants whose commands run
there."""


def digest(tenant: str) -> int:
    """Return 32 bits that stand for a tenant on the board."""
    return zlib.crc32(tenant.encode())


class Board:
    """Shared memory with an entry for each slot, written by one process or thread and read by all.

    It must be made before the pool forks. A read during a write may see neither state, which is
    harmless: it only decides whether a command waits a few seconds.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _AT[-1] + _SIZE)

    @property
    def number(self) -> int:
        """Messages that the worker runs at a time where nothing is slow; 0: nobody counts."""
        return int(_HEAD.unpack_from(self._memory)[0])

    @number.setter
    def number(self, number: int) -> None:
        """Number of messages that the worker runs at a time while nothing is slow.

        0 disables the board.
        """
        _HEAD.pack_into(self._memory, 0, number)

    def take(self, index: int, since: float, tenants: Iterable[int] = ()) -> None:
        """Mark a slot as in use since `since` (monotonic seconds) by tenants, given as digests."""
        noted = list(tenants)[:MAX_TENANTS]
        struct.pack_into(f"dI{len(noted)}I", self._memory, _AT[index], since, len(noted), *noted)

    def leave(self, index: int) -> None:
        """Mark a slot as free."""
        struct.pack_into("d", self._memory, _AT[index], 0.0)

    def held(self) -> list[Held]:
        """Return the slots in use, of those that a worker with `number` slots may use."""
        found: list[Held] = []
        for at in _AT[: 2 * self.number]:
            since, count = _SLOT.unpack_from(self._memory, at)
            if since:
                tenants = struct.unpack_from(f"{count}I", self._memory, at + _SLOT.size)
                found.append((since, frozenset(tenants)))
        return found
