"""The content of an object as it is downloaded from S3."""

from __future__ import annotations

import io

from signalbox.adapters.aws.failure import LATER
from signalbox.adapters.s3.wire import Opened
from signalbox.commands.error import Unavailable

ContentBody = io.BytesIO
"""A BodyReader of content that has arrived completely."""


class WireBody:
    """A BodyReader of `size` bytes.

    A connection that breaks raises Unavailable; there is never a short read.
    """

    def __init__(self, opened: Opened, size: int) -> None:
        self._opened = opened
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
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
