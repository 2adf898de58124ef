"""A server on a loopback port that misbehaves as a test says, for whatever speaks HTTP.

A behaviour is a function of one request; it never ends a connection before the client does
(`Visit.wait`), so that whoever ends a call ends it by himself.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate

from tests.listening import stop_listening


@dataclass
class Visit:
    """One request on one connection."""

    connection: socket.socket
    line: str
    headers: dict[str, str]
    early: bytes
    """Of the body what came with the head."""
    ended: threading.Event

    @property
    def method(self) -> str:
        return self.line.partition(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def send(self, *pieces: bytes) -> None:
        self.connection.sendall(b"".join(pieces))

    def take(self) -> bytes:
        """The rest of the body."""
        if "expect" in self.headers:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = self.early
        while len(content) < int(self.headers.get("content-length", 0)):
            if not (piece := self.connection.recv(1 << 20)):
                raise ConnectionError
            content += piece
        return content

    def drip(self, content: bytes, seconds: float = 0.05) -> None:
        """Send a byte at a time, and go on for ever with the last of them."""
        for byte in content:
            self.send(bytes([byte]))
            if self.ended.wait(seconds):
                return
        while not self.ended.wait(seconds):
            self.send(content[-1:])

    def wait(self) -> None:
        """Until the client has enough, or the test is over."""
        self.connection.settimeout(0.05)
        while not self.ended.is_set():
            with suppress(TimeoutError):
                if not self.connection.recv(1 << 16):
                    return


Behaviour = Callable[[Visit], object]


@dataclass
class Server:
    endpoint: str
    behaviour: Behaviour
    visits: list[Visit] = field(default_factory=list)


def answer(status: int = 200, *, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """A whole answer."""
    lines = {"Content-Length": str(len(body)), "Date": formatdate(usegmt=True)} | (headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


@contextmanager
def serve(behaviour: Behaviour) -> Iterator[Server]:
    """A server whose every request meets the behaviour."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}", behaviour)
        accepting = threading.Thread(target=_accept, args=(listener, server, ended), daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            ended.set()
            stop_listening(listener)
            accepting.join(5)


def _accept(listener: socket.socket, server: Server, ended: threading.Event) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_talk, args=(connection, server, ended), daemon=True).start()


def _talk(connection: socket.socket, server: Server, ended: threading.Event) -> None:
    with suppress(OSError), connection:
        rest = b""
        while not ended.is_set():
            while b"\r\n\r\n" not in rest:
                if not (piece := connection.recv(1 << 16)):
                    return
                rest += piece
            head, _, early = rest.partition(b"\r\n\r\n")
            line, *others = head.decode("latin-1").split("\r\n")
            pairs = (other.partition(":") for other in others)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            visit = Visit(connection, line, headers, early, ended)
            server.visits.append(visit)
            server.behaviour(visit)
            rest = b""
