"""The content of an object as it arrives, and its failures as typed errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.s3.failure import s3_errors
from commands.scope import Scope

if TYPE_CHECKING:
    from botocore.response import StreamingBody


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
