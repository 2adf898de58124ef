"""Runs as a program: the least of S3 that answers, in memory, as fast as one process may.

It prints its port and ends with its standard input; an argument is the seconds that each answer
takes. Nothing is checked: neither signatures nor digests. Small objects are kept; the parts of a
multipart upload are counted and forgotten.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from dataclasses import dataclass, field
from urllib.parse import parse_qs

BUFFER_BYTES = 1024 * 1024
MODIFIED = b"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
_ETAG = b'"%032x"'


@dataclass
class Kept:
    """One object: its size, the headers that came with it, and its content if it is small."""

    head: bytes
    body: bytes


@dataclass
class StubBucket:
    """What the stub holds, by path."""

    objects: dict[bytes, Kept] = field(default_factory=dict)
    uploads: int = 0

    def answer(self, method: bytes, target: bytes, headers: list[bytes], body: bytes) -> bytes:
        path, _, query = target.partition(b"?")
        if query and (b"upload" in query):
            return self._part(method, query)
        if method == b"PUT":
            etag = b'"%s"' % hashlib.md5(body, usedforsecurity=False).hexdigest().encode("ascii")
            beside = b"".join(
                header + b"\r\n"
                for header in headers
                if header[:11].lower() == b"x-amz-meta-" or header[:13].lower() == b"content-type:"
            )
            head = b"ETag: %s\r\n%s%s" % (etag, MODIFIED, beside)
            self.objects[path] = Kept(head, body)
            return b"HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: 0\r\n\r\n" % etag
        if method == b"DELETE":
            self.objects.pop(path, None)
            return _NO_CONTENT
        kept = self.objects.get(path)
        if kept is None:
            text = b"" if method == b"HEAD" else b"<Error><Code>NoSuchKey</Code></Error>"
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
        content = b"" if method == b"HEAD" else kept.body
        lines = (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(kept.body), kept.head)
        return b"".join((*lines, b"\r\n", content))

    def _part(self, method: bytes, query: bytes) -> bytes:
        if method == b"PUT":
            number = int(parse_qs(query)[b"partNumber"][0])
            etag = _ETAG % number
            return b"HTTP/1.1 200 OK\r\nETag: %s\r\nContent-Length: 0\r\n\r\n" % etag
        if method == b"DELETE":
            return _NO_CONTENT
        self.uploads += 1
        text = b"<R><UploadId>%d</UploadId><ETag>%s</ETag></R>" % (self.uploads, _ETAG % 0)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)


class Connection(asyncio.BufferedProtocol):
    """One client. A body over the buffer is read away, not kept."""

    def __init__(self, bucket: StubBucket, delay: float) -> None:
        self._shelf = bucket
        self._delay = delay
        self._buffer = bytearray(BUFFER_BYTES)
        self._filled = 0
        self._left = 0
        self._request: tuple[bytes, bytes, list[bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, count: int) -> None:
        if self._left > BUFFER_BYTES:
            # A large body: what came is forgotten where it lies.
            self._left -= count
            if self._left <= BUFFER_BYTES:
                self._filled = 0
            return
        self._filled += count
        while self._step():
            pass

    def _step(self) -> bool:
        """Take one request's head or body from the buffer, if it is there."""
        if self._request is None:
            end = self._buffer.find(b"\r\n\r\n", 0, self._filled)
            if end < 0:
                return False
            first, *headers = bytes(self._buffer[:end]).split(b"\r\n")
            method, target, _ = first.split(b" ")
            self._request = method, target, headers
            self._drop(end + 4)
            self._left = 0
            for header in headers:
                if header[:15].lower() == b"content-length:":
                    self._left = int(header[15:])
                elif header[:7].lower() == b"expect:":
                    self._transport.write(_CONTINUE)
            if self._left > BUFFER_BYTES:
                self._left -= self._filled
                self._filled = 0
                return False
        if self._filled < self._left:
            return False
        method, target, headers = self._request
        body = bytes(self._buffer[: self._left])
        self._drop(self._left)
        self._left = 0
        self._request = None
        answer = self._shelf.answer(method, target, headers, body)
        if self._delay:
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay, self._transport.write, answer)
        else:
            self._transport.write(answer)
        return self._filled > 0

    def _drop(self, count: int) -> None:
        rest = self._filled - count
        self._buffer[:rest] = self._buffer[count : self._filled]
        self._filled = rest


async def serve(bucket: StubBucket) -> None:
    delay = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(bucket, delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(StubBucket()))
