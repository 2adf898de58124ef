"""Requests as bytes on a socket, for what polite clients do not send."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

TIMEOUT = 300
"""Seconds; what takes that long hangs. No test is judged by its time."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


def head(method: str, path: str, *headers: str, host: str = "localhost") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def ask(port: int, request: bytes, *, end: bool = False) -> Answer | None:
    """Send, and read one answer; with `end` nothing more is sent. None: closed without one."""
    with connect(port) as connection:
        connection.sendall(request)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return read(connection)


def read(connection: socket.socket, *, head_only: bool = False) -> Answer | None:
    """One answer from the connection; None if it is closed before one."""
    data, body = b"", b""
    while not data.endswith(b"\r\n\r\n"):
        try:
            more = connection.recv(1)  # what stands behind this answer is the next one's
        except ConnectionResetError:
            more = b""
        if not more:
            return None
        data += more
    line, *rest = data.rstrip().decode("latin-1").split("\r\n")
    headers = {n.lower(): v.strip() for n, _, v in (each.partition(":") for each in rest)}
    while not head_only and (left := int(headers.get("content-length", 0)) - len(body)) > 0:
        more = connection.recv(left)
        if not more:
            break
        body += more
    return Answer(int(line.split()[1]), headers, body)
