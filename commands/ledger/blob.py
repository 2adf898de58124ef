"""The frame around a parcel's content or outcomes: JSON, raw bytes beside it, and a checksum.

4   what it is: `SBp1` (a parcel's content), `SBo1` (outcomes)
4   bytes of the JSON, big-endian; then as many of what is beside it
n   the JSON
m   bytes that JSON would make longer: contents, digests
4   CRC-32 of all that stands before it
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json, to_json

from commands.error import LedgerDamaged

_HEAD, _CHECK = struct.Struct(">4sII"), struct.Struct(">I")


class Heap:
    """Collects the bytes that stand beside the JSON."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0

    def put(self, chunks: Sequence[bytes]) -> int:
        """Add them one behind the other; where the first begins."""
        start = self.size
        self.chunks += chunks
        self.size += sum(map(len, chunks))
        return start


def enframe(tag: bytes, document: Any, heap: Heap) -> bytes:
    """Raises ValueError (PydanticSerializationError) for text that is not valid Unicode."""
    text = to_json(document)
    blob = b"".join([_HEAD.pack(tag, len(text), heap.size), text, *heap.chunks])
    return blob + _CHECK.pack(zlib.crc32(blob))


def unframe(tag: bytes, blob: bytes) -> tuple[Any, bytes]:
    """The document and the bytes beside it. Raises LedgerDamaged."""
    if len(blob) < _HEAD.size + _CHECK.size:
        raise damaged("is cut short")
    found, text, beside = _HEAD.unpack_from(blob)
    if found != tag:
        raise damaged("is none, or of another release")
    end = _HEAD.size + text + beside
    if len(blob) != end + _CHECK.size:
        raise damaged("does not have the length that it names")
    if zlib.crc32(memoryview(blob)[:end]) != _CHECK.unpack_from(blob, end)[0]:
        raise damaged("does not have the checksum that it names")
    try:
        return from_json(blob[_HEAD.size : _HEAD.size + text]), blob[_HEAD.size + text : end]
    except ValueError:
        raise damaged("holds no JSON") from None


def damaged(why: str) -> LedgerDamaged:
    return LedgerDamaged(
        f"a blob of the ledger {why}",
        next_step="see what happened to the state Redis (memory, disk, who else writes to it); "
        "what the blob held must be submitted again",
    )
