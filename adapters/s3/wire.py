"""A minimal HTTP/1.1 client for one host, with reused connections, for S3.

It follows no redirects, uses no proxy and retries nothing; boto3 is used for that. For a small
object, `http.client` takes twice the processor time, urllib3 three times, and boto3 ten times.
"""

from __future__ import annotations

import os
import re
import select
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.httpsession import get_cert_path

from signalbox.adapters.deadline import ANSWER_BYTES, REQUEST_SECONDS, current, enter, leave
from signalbox.adapters.timed_socket import connect, follow

POOL_CONNECTIONS = 64
"""Maximum number of idle connections."""
_LINE_BYTES, _LINES, _HEAD_BYTES = 64 * 1024, 200, 256 * 1024
_INTERIM = 10
_SIZE = {10: re.compile("[0-9]{1,15}"), 16: re.compile("[0-9A-Fa-f]{1,12}")}
_JOINED_BYTES = 64 * 1024
"""Content up to this size is sent together with the head."""


class Garbled(OSError):
    """The response is not valid HTTP, or incomplete."""


@dataclass(frozen=True)
class Answer:
    """A complete response."""

    status: int
    """The HTTP status."""
    headers: Mapping[str, str]
    """The headers, with lower-case names."""
    body: bytes
    """The content."""


class Connection:
    """One socket, with one request at a time."""

    def __init__(self, name: str, port: int, tls: ssl.SSLContext | None) -> None:
        plain = connect(name, port, [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])
        if tls is not None:
            plain = follow(tls.wrap_socket(plain, server_hostname=name))
        plain.settimeout(REQUEST_SECONDS)
        self.socket = plain
        self.reader = self.socket.makefile("rb")

    def ended(self) -> bool:
        """Return whether there is something to read: its end, or unexpected bytes."""
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLIN)
        return bool(poll.poll(0)) or self._holds_more()

    def _holds_more(self) -> bool:
        """Return whether more was received with the last response than belonged to it."""
        token = enter(None)
        try:
            self.socket.settimeout(0)
            return bool(self.reader.peek(1))
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True
        finally:
            leave(token)
            self.socket.settimeout(REQUEST_SECONDS)

    def close(self) -> None:
        """Close the socket."""
        self.reader.close()
        self.socket.close()

    def line(self) -> bytes:
        """Return the next line. Raises Garbled."""
        line = self.reader.readline(_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise Garbled("the answer broke off")
        return line.rstrip(b"\r\n")

    def rest(self) -> bytes:
        """Return all bytes until the end of the connection. Raises Garbled."""
        content = bytearray()
        while piece := self.reader.read1(_JOINED_BYTES):
            content += piece
            if len(content) > ANSWER_BYTES:
                raise Garbled("it is too long")
        return bytes(content)

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes. Raises Garbled."""
        content = self.reader.read(size)
        if len(content) < size:
            raise Garbled("the content broke off")
        return content


class Opened:
    """A response whose content is not read yet. `close` must be called."""

    def __init__(self, wire: Wire, connection: Connection, method: str) -> None:
        self._wire, self._connection = wire, connection
        version, self.status, self.headers = _head(connection)
        self._keeps = version == b"HTTP/1.1" and self.headers.get("connection") != "close"
        self.size = self._announced(method)

    def _announced(self, method: str) -> int | None:
        """Return the size of the content; None if it is not announced."""
        if method == "HEAD" or self.status in (204, 304):
            return 0
        if "transfer-encoding" in self.headers or "content-length" not in self.headers:
            return None
        return _number(self.headers["content-length"], 10)

    def read(self, size: int | None = None) -> bytes:
        """Return `size` bytes of content with a known size, or all that is left. Raises OSError."""
        if self.size is not None and size is None and self.size > ANSWER_BYTES:
            raise Garbled("it is too long")
        if self.size is None:
            content = self._unannounced()
            self.size = 0
            return content
        wanted = self.size if size is None else min(size, self.size)
        content = self._connection.exactly(wanted)
        self.size -= wanted
        return content

    def close(self) -> None:
        """Keep the connection if the whole response was read, else close it."""
        if self._keeps and self.size == 0:
            self._wire.give_back(self._connection)
        else:
            self._connection.close()

    def _unannounced(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            self._keeps = False
            return self._connection.rest()
        content = bytearray()
        while size := _number(
            self._connection.line().partition(b";")[0].strip().decode("latin-1"), 16
        ):
            if len(content) + size > ANSWER_BYTES:
                raise Garbled("it is too long")
            content += self._connection.exactly(size)
            if self._connection.line():
                raise Garbled("a piece is longer than it says")
        for _ in range(_LINES):
            if not self._connection.line():
                return bytes(content)
        raise Garbled("it has too many trailers")


class Wire:
    """The connections of a process to one host. Thread-safe; unusable after a fork."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self.host = parts.netloc
        self._name = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=_authorities())
        self._idle: deque[Connection] = deque()

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Answer:
        """Send one request and return the complete response.

        It has the time of the call (`deadline.py`). Raises OSError, which is a TimeoutError after
        that time.
        """
        opened = self.open(method, target, headers, body)
        try:
            return Answer(opened.status, opened.headers, opened.read())
        finally:
            opened.close()

    def open(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Opened:
        """Do what `send` does, but return the response before its content is read."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
        if (head.count(b"\n"), head.count(b"\r")) != (len(lines) + 1,) * 2:
            raise ValueError("a header holds the end of a line")
        if (deadline := current()) is not None:
            deadline.begin()
        connection = self._connection()
        try:
            if body is None or len(body) <= _JOINED_BYTES:
                connection.socket.sendall(head + (body or b""))
            else:
                connection.socket.sendall(head)
                connection.socket.sendall(body)
            return Opened(self, connection, method)
        except BaseException:
            connection.close()
            raise

    def give_back(self, connection: Connection) -> None:
        """Keep an idle connection."""
        self._idle.append(connection)
        # Closes the one that was idle for longest.
        if len(self._idle) > POOL_CONNECTIONS and (oldest := self._pop(oldest=True)):
            oldest.close()

    def _pop(self, *, oldest: bool = False) -> Connection | None:
        try:
            return self._idle.popleft() if oldest else self._idle.pop()
        except IndexError:
            return None

    def _connection(self) -> Connection:
        while (kept := self._pop()) is not None:
            if not kept.ended():
                return kept
            kept.close()
        return Connection(self._name, self._port, self._tls)


def _authorities() -> str:
    """Return the CA file that boto3 uses: from the environment, or its own."""
    named = (os.environ.get(name) for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"))
    return next((path for path in named if path), None) or str(get_cert_path(True))


def _number(text: str, base: int) -> int:
    if not _SIZE[base].fullmatch(text):
        raise Garbled("this is no length")
    return int(text, base)


def _head(connection: Connection) -> tuple[bytes, int, dict[str, str]]:
    """Return version, status and headers of the final response; interim ones are skipped."""
    for _ in range(_INTERIM):
        version, _, rest = connection.line().partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise Garbled("this is no HTTP")
        headers: dict[str, str] = {}
        size = 0
        for _ in range(_LINES):
            line = connection.line()
            if not line:
                break
            if (size := size + len(line)) > _HEAD_BYTES:
                raise Garbled("its head is too long")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        else:
            raise Garbled("it has too many headers")
        if (status := int(rest[:3])) >= 200:
            return version, status, headers
    raise Garbled("it says only that there is more to come")
