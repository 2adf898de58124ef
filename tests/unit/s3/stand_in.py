"""A service on a loopback port that answers each request as a test says, and notes it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.listening import stop_listening


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict[str, str]

    @property
    def by_boto3(self) -> bool:
        return "Boto3" in self.headers.get("user-agent", "")


@dataclass
class StandIn:
    """`answers` are sent in turn; None: silence, `b""`: the connection is closed.

    Whoever asks what time it is (a HEAD of the service or of the bucket) is not counted.
    """

    endpoint: str
    answers: list[bytes | None] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    after_request: Callable[[], object] = lambda: None


def answer(
    status: int = 200, *, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    lines = {"Content-Length": str(len(body)), "Connection": "close"} | dict(headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


@contextmanager
def stand_in() -> Iterator[StandIn]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        service = StandIn(f"http://127.0.0.1:{listener.getsockname()[1]}")
        accepting = threading.Thread(target=_accept, args=(listener, service), daemon=True)
        accepting.start()
        try:
            yield service
        finally:
            stop_listening(listener)
            accepting.join(5)


def _accept(listener: socket.socket, service: StandIn) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, service), daemon=True).start()


def _serve(connection: socket.socket, service: StandIn) -> None:
    with suppress(OSError), connection, connection.makefile("rb") as stream:
        line = stream.readline().decode().strip()
        if not line:
            return
        headers = {}
        while text := stream.readline().decode().strip():
            name, _, value = text.partition(": ")
            headers[name.lower()] = value
        if "expect" in headers:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if line.startswith(("HEAD / ", "HEAD /data ")):
            connection.sendall(answer(400))
            return
        stream.read(int(headers.get("content-length", 0)))
        service.requests.append(Request(line, headers))
        said = service.answers.pop(0)
        service.after_request()
        if said is None:
            # Silence, until the other side has enough.
            stream.read(1)
        else:
            connection.sendall(said)
