"""The frame around a parcel's content or outcomes: JSON, raw bytes beside it, and a checksum.

4   what it is: `SBp1` (a parcel's content), `SBo1` (outcomes)
4   bytes of the JSON, big-endian; the highest bit says that they are deflated
4   bytes of what is beside it
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

from signalbox.commands.error import LedgerDamaged

_HEAD, _CHECK = struct.Struct(">4sII"), struct.Struct(">I")
_DEFLATED = 1 << 31
_SHORT = 2048
"""Maximum bytes of JSON that is compressed: it is mostly names then, which are in the dictionary.
"""
_LONGEST = 1024 * 1024
"""Maximum length of a short JSON before compression."""
_LEVEL, _WINDOW, _MEMORY = 3, -12, 5
"""As fast as level 1, and smaller: a window of 4 KiB, no header, and little memory for each small
blob."""
_DICTIONARY = (
    b'"table":{"type":["inline"],"data":{"raw":0,"sizes":[1]}}},"content_type":["application/octet-'
    b'stream"],"metadata":[{}],"condition":{"table":{"if_absent":[false],"if_match":[null]}}'
    b'"table_name":["","data":[{"condition":{"table":{"if_absent":[false],"if_revision":[null]}}'
    b'"event":{"table":{"id":[null],"type":["","time":[null],"data":[{"expected_version":[null]'
    b'"points":{"table":{"series":[""],"timestamp":["","value":[,"labels":[{}'
    b'"first":[null],"last":[null]"limit":[null],"if_match":[null]tabular_store.event_stream.metrics_'
    b'store.get"]upsert"]append"]ingest"]delete"],"superseded":[false],"key":[""],"size":[1024],"etag":'
    b'{"hex":16,"length":32},"sha256":{"hex":32,"length":64},"uri":["filesystem:///s3://postgres"'
    b'{"schema":"","sections":[{"at":[0],"outcome":{"op_id":{"uuid":0},"op":["object_store.put"],"tenant'
    b'_id":["t_"],"env":["prod"],"subject":[""],"status":["done"],"error":[null],"backend_type":["file'
    b'system"],"route_revision":[1],"seq":[17],"attempt":[1],"worker":["w1@"],"claimed_at":["20'
    b'Z"],"duration_ms":[]},"result":{]}}]}{"schema":"","sections":[{"at":[0],"rows":{"op":["object_store'
    b'.put"],"v":[1],"op_id":["01"],"tenant_id":["t_"],"env":["dev"],"mode":["lab"],"deadline":[null],'
    b'"key":["'
)
"""The compression dictionary. It must never change, since stored blobs need it. More frequent texts
are nearer to the end."""


class Heap:
    """Collects the bytes that are stored beside the JSON."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self._once: dict[bytes, int] = {}

    def put(self, chunks: Sequence[bytes]) -> int:
        """Append values one after the other; return the position of the first."""
        start = self.size
        self.chunks += chunks
        self.size += sum(map(len, chunks))
        return start

    def put_once(self, chunk: bytes) -> int:
        """Append a value unless it was added before in this way; return its position."""
        start = self._once.get(chunk)
        if start is None:
            start = self._once[chunk] = self.put([chunk])
        return start


def enframe(tag: bytes, document: Any, heap: Heap) -> bytes:
    """Raises ValueError (PydanticSerializationError) for text that is not valid Unicode."""
    text, mark = to_json(document), 0
    if len(text) <= _SHORT:
        deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zdict=_DICTIONARY)
        text, mark = deflate.compress(text) + deflate.flush(), _DEFLATED
    blob = b"".join([_HEAD.pack(tag, len(text) | mark, heap.size), text, *heap.chunks])
    return blob + _CHECK.pack(zlib.crc32(blob))


def unframe(tag: bytes, blob: bytes) -> tuple[Any, bytes]:
    """Return the document and the bytes beside it. Raises LedgerDamaged."""
    if len(blob) < _HEAD.size + _CHECK.size:
        raise damaged("is cut short")
    found, text, beside = _HEAD.unpack_from(blob)
    if found != tag:
        raise damaged("is none, or of another release")
    deflated, text = text & _DEFLATED, text & ~_DEFLATED
    end = _HEAD.size + text + beside
    if len(blob) != end + _CHECK.size:
        raise damaged("does not have the length that it names")
    if zlib.crc32(memoryview(blob)[:end]) != _CHECK.unpack_from(blob, end)[0]:
        raise damaged("does not have the checksum that it names")
    try:
        json = blob[_HEAD.size : _HEAD.size + text]
        if deflated:
            json = zlib.decompressobj(_WINDOW, _DICTIONARY).decompress(json, _LONGEST)
        return from_json(json), blob[_HEAD.size + text : end]
    except (ValueError, zlib.error):
        raise damaged("holds no JSON") from None


def damaged(why: str) -> LedgerDamaged:
    return LedgerDamaged(
        f"a blob of the ledger {why}",
        next_step="see what happened to the state Redis (memory, disk, who else writes to it); "
        "what the blob held must be submitted again",
    )
