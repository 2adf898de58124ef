"""The content of an object as it arrives, and its failures as typed errors."""

from __future__ import annotations

import io
from math import inf
from typing import TYPE_CHECKING

from adapters.aws.failure import LATER
from adapters.deadline import current
from adapters.s3.failure import s3_errors
from adapters.s3.wire import Opened
from commands.error import Unavailable
from commands.scope import Scope

if TYPE_CHECKING:
    from botocore.response import StreamingBody

ContentBody = io.BytesIO
"""A BodyReader of content that has arrived whole."""


class S3Body:
    """A BodyReader, with the time of the call that opened it. A connection that breaks off raises
    Unavailable, never a short read."""

    def __init__(self, body: StreamingBody, scope: Scope) -> None:
        self._body = body
        self._scope = scope
        self._deadline = current()

    def read(self, size: int = -1, /) -> bytes:
        with s3_errors(self._scope, self._deadline):
            if self._deadline is not None:
                self._deadline.begin(inf)
            return self._body.read(None if size < 0 else size)

    def close(self) -> None:
        self._body.close()


class WireBody:
    """The same of what comes over the wire: `size` bytes."""

    def __init__(self, opened: Opened, size: int, scope: Scope) -> None:
        self._opened = opened
        self._left = size
        self._scope = scope
        self._deadline = current()

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        with s3_errors(self._scope, self._deadline):
            if self._deadline is not None:
                self._deadline.begin(inf)
            try:
                content = self._opened.read(wanted) if wanted else b""
            except TimeoutError:
                raise
            except OSError:
                raise Unavailable("the answer of S3 broke off", next_step=LATER) from None
        self._left -= wanted
        return content

    def close(self) -> None:
        self._opened.close()
