"""The content of an object in a file, as `get` returns it."""

from __future__ import annotations

from typing import BinaryIO


class FileBody:
    """`size` bytes of an open file, readable even after the object is replaced or deleted."""

    def __init__(self, file: BinaryIO, first: int, size: int) -> None:
        self._file = file
        self._left = size
        file.seek(first)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, all that is left if negative; empty at the end."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()
