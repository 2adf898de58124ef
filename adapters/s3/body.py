"""The content of an object as it arrives, and its failures as typed errors."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError

from adapters.aws.failure import LATER
from adapters.s3.failure import s3_errors
from commands.error import Unavailable
from commands.scope import Scope

if TYPE_CHECKING:
    from botocore.response import StreamingBody

ContentBody = io.BytesIO
"""A BodyReader of content that has arrived whole."""


class S3Body:
    """A BodyReader. A connection that breaks off raises Unavailable, never a short read."""

    def __init__(self, body: StreamingBody, scope: Scope) -> None:
        self._body = body
        self._scope = scope

    def read(self, size: int = -1, /) -> bytes:
        with s3_errors(self._scope):
            return self._body.read(None if size < 0 else size)

    def close(self) -> None:
        self._body.close()


class StreamBody:
    """The same of what obstore streams. It holds a chunk, and one more while that is joined."""

    def __init__(self, chunks: Iterator[bytes], scope: Scope) -> None:
        self._chunks: Iterator[bytes] | None = chunks
        self._scope = scope
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        parts: list[memoryview] = []
        wanted = size
        while wanted and (self._rest or self._fill()):
            part = self._rest if wanted < 0 else self._rest[:wanted]
            self._rest = self._rest[len(part) :]
            parts.append(part)
            wanted -= len(part) if wanted > 0 else 0
        return b"".join(parts)

    def close(self) -> None:
        # The connection ends with the stream.
        self._chunks = None
        self._rest = memoryview(b"")

    def _fill(self) -> bool:
        with s3_errors(self._scope):
            try:
                if self._chunks is not None:
                    self._rest = memoryview(bytes(next(self._chunks, b"")))
            except (BaseError, OSError):
                raise Unavailable("the answer of S3 broke off", next_step=LATER) from None
        return bool(self._rest)
