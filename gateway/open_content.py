"""Streams an object's content to a client: each part is read after the previous one was taken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from signalbox.adapters.object_store import ObjectStream
from signalbox.commands.error import LeaseExpired, SignalboxError, Unavailable
from signalbox.commands.object_store import ObjectInfo

PART_BYTES = 256 * 1024
"""Bytes read from a backend at a time; smaller content is read whole by the first call."""


class Opened:
    """An open content with its first part, as the thread that opened it passes it on."""

    def __init__(self, stream: ObjectStream) -> None:
        """Read the first part.

        Raises the backend's errors, and Unavailable if it ends too early.
        """
        self.stream = stream
        self.left = stream.size
        self._lock = threading.Lock()
        self._reading = self._closed = False
        try:
            self.first_part = self.read() if stream.size else b""
        except BaseException:
            self.close()
            raise
        self.is_whole = not self.left
        if self.is_whole:
            self.close()

    def read(self) -> bytes:
        """Return the next part. Raises as the constructor does."""
        with self._lock:
            self._reading = True
        try:
            part = self.stream.body.read(min(PART_BYTES, self.left))
        finally:
            with self._lock:
                self._reading = False
                if self._closed:
                    self.stream.body.close()
        self.left -= len(part)
        if not part:
            raise Unavailable(
                f"the backend sent {self.stream.size - self.left} of {self.stream.size} bytes",
                next_step="read it again",
            )
        return part

    def close(self) -> None:
        """Close the backend's stream, after the current read if there is one."""
        with self._lock:
            before, self._closed = self._closed, True
            if not self._reading and not before:
                self.stream.body.close()


class Content:
    """The content of an object, or the requested range of it, streamed from the backend.

    Iterate over it once, or call `aclose`; `async with` does that at its end. Memory is bounded.
    """

    def __init__(
        self,
        opened: Opened,
        *,
        backend_type: str,
        route_revision: int,
        take_seconds: float,
        read: Callable[[], Awaitable[bytes]],
        threads: ThreadPoolExecutor,
        left: Callable[[], None],
    ) -> None:
        """`read` returns the next part; `left` is called once when everything is closed.

        The content is closed if a part is not taken within `take_seconds` seconds.
        """
        self.info: ObjectInfo = opened.stream.info
        self.first = opened.stream.first
        """Offset of the first byte in the object."""
        self.size = opened.stream.size
        """Number of bytes that will be streamed, which may be less than the object's size."""
        self.backend_type = backend_type
        self.route_revision = route_revision
        self._opened = opened
        self._take_seconds = take_seconds
        self._read = read
        self._threads = threads
        self._left = left
        self._closed = False
        self._expired = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        if opened.is_whole:
            self._close()
        else:
            self._wait_for_taker()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes in order.

        Raises Unavailable if the backend ends too early, and LeaseExpired if it takes too long or
        the parts were not taken: there are never fewer bytes than `size` without an error.
        """
        return self._parts()

    async def whole(self) -> bytes:
        """Return all bytes, instead of iterating; raises the same errors."""
        if self._opened.is_whole:
            part, self._opened.first_part = self._opened.first_part, b""
            return part
        async with self:
            return b"".join([part async for part in self])

    async def aclose(self) -> None:
        """Close the backend's stream. May be called again."""
        closing = self._close()
        if closing is not None:
            await asyncio.wait([asyncio.wrap_future(closing)])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _parts(self) -> AsyncIterator[bytes]:
        part, self._opened.first_part = self._opened.first_part, b""
        try:
            if part:
                yield part
            while self._opened.left:
                if self._timer is not None:
                    self._timer.cancel()
                if self._closed:
                    raise self._ended()
                part = await self._read()
                self._wait_for_taker()
                yield part
        finally:
            self._close()

    def _wait_for_taker(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._take_seconds, self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._close()

    def _ended(self) -> SignalboxError:
        why = "was not taken in time" if self._expired else "was closed"
        return LeaseExpired(f"the content {why}", next_step="read it again")

    def _close(self) -> Future[None] | None:
        if self._timer is not None:
            self._timer.cancel()
        if self._closed:
            return None
        self._closed = True
        if self._opened.is_whole:
            self._left()
            return None
        try:
            return self._threads.submit(self._end)
        except RuntimeError:  # the threads have stopped
            self._end()
            return None

    def _end(self) -> None:
        try:
            self._opened.close()
        finally:
            self._left()
