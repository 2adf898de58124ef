"""HTTP/1.1 to one host, as little as S3 needs, over connections that are used again.

It follows no redirect, uses no proxy and sends nothing twice: for that there is boto3. What that
costs is why this is here: for a small object `http.client` takes twice the processor time, urllib3
three times, boto3 ten times.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.httpsession import get_cert_path

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
POOL_CONNECTIONS = 64
_LINE_BYTES, _LINES = 64 * 1024, 200
_JOINED_BYTES = 64 * 1024
"""Content up to this goes out in one piece with what stands before it."""


class Garbled(OSError):
    """What came is no answer, or not the whole of it."""


@dataclass(frozen=True)
class Answer:
    """The whole of it; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One socket, with one request at a time."""

    def __init__(self, name: str, port: int, tls: ssl.SSLContext | None) -> None:
        plain = socket.create_connection((name, port), CONNECT_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = plain if tls is None else tls.wrap_socket(plain, server_hostname=name)
        self.reader = self.socket.makefile("rb")

    def ended(self) -> bool:
        """Whether the other side has closed it: then there is something to read, the end."""
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def line(self) -> bytes:
        line = self.reader.readline(_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise Garbled("the answer broke off")
        return line.rstrip(b"\r\n")

    def exactly(self, size: int) -> bytes:
        content = self.reader.read(size)
        if len(content) < size:
            raise Garbled("the content broke off")
        return content


class Opened:
    """An answer whose content is still on its way. `close` is to be called in any case."""

    def __init__(self, wire: Wire, connection: Connection, method: str) -> None:
        self._wire, self._connection = wire, connection
        version, self.status, self.headers = _head(connection)
        self._keeps = version == b"HTTP/1.1" and self.headers.get("connection") != "close"
        self.size = self._announced(method)

    def _announced(self, method: str) -> int | None:
        """Bytes of content; None if only their end tells."""
        if method == "HEAD" or self.status in (204, 304):
            return 0
        if "transfer-encoding" in self.headers or "content-length" not in self.headers:
            return None
        return _number(self.headers["content-length"], 10)

    def read(self, size: int | None = None) -> bytes:
        """That many bytes of a content whose size is known, or all that is left of it. Raises
        OSError."""
        if self.size is None:
            content = self._unannounced()
            self.size = 0
            return content
        wanted = self.size if size is None else min(size, self.size)
        content = self._connection.exactly(wanted)
        self.size -= wanted
        return content

    def close(self) -> None:
        """The connection is used again if all of the answer was read."""
        if self._keeps and self.size == 0:
            self._wire.give_back(self._connection)
        else:
            self._connection.close()

    def _unannounced(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            self._keeps = False
            return self._connection.reader.read()
        chunks = []
        while size := _number(self._connection.line().partition(b";")[0].decode("latin-1"), 16):
            chunks.append(self._connection.exactly(size))
            self._connection.line()
        while self._connection.line():
            pass
        return b"".join(chunks)


class Wire:
    """The connections of a process to one host. Thread-safe; useless after a fork."""

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
        seconds: float = READ_SECONDS,
    ) -> Answer:
        """One request, and the whole answer. Waits at most `seconds` for each part of it.

        Raises OSError; a TimeoutError after that time.
        """
        opened = self.open(method, target, headers, body, seconds)
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
        seconds: float = READ_SECONDS,
    ) -> Opened:
        """The same, with the content still to be read."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
        if (head.count(b"\n"), head.count(b"\r")) != (len(lines) + 1,) * 2:
            raise ValueError("a header holds the end of a line")
        connection = self._connection()
        try:
            connection.socket.settimeout(seconds)
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
        self._idle.append(connection)
        # The one that was idle for longest.
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
    """Those that boto3 trusts: what the environment names, or its own."""
    named = (os.environ.get(name) for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"))
    return next((path for path in named if path), None) or str(get_cert_path(True))


def _number(text: str, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if number < 0:
        raise Garbled("this is no length")
    return number


def _head(connection: Connection) -> tuple[bytes, int, dict[str, str]]:
    """Version, status and headers; what says that there is more to come is passed over."""
    while True:
        version, _, rest = connection.line().partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise Garbled("this is no HTTP")
        headers = {}
        for _ in range(_LINES):
            line = connection.line()
            if not line:
                break
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        else:
            raise Garbled("it has too many headers")
        if (status := int(rest[:3])) >= 200:
            return version, status, headers
