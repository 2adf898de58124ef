"""A server that speaks as much of PostgreSQL's protocol as a client of ours needs, and misbehaves
where a test says so."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.listening import stop_listening

TEXT, BYTEA, INT8, INT4, BOOL, NUMERIC = 25, 17, 20, 23, 16, 1700
Column = tuple[str, int]
Rows = Sequence[Sequence[bytes | None]]
PAUSE = 0.02


@dataclass
class Link:
    """One connection."""

    connection: socket.socket
    ended: threading.Event
    state: bytes = b"I"
    """Idle, or `T` in a transaction."""
    rest: bytearray = field(default_factory=bytearray)
    deaf_to: str = ""
    """Nothing is read behind a statement with this in it."""

    def send(self, *pieces: bytes) -> None:
        self.connection.sendall(b"".join(pieces))

    def take(self, count: int) -> bytes:
        while len(self.rest) < count:
            if not (piece := self.connection.recv(1 << 16)):
                raise ConnectionError
            self.rest += piece
        content = bytes(self.rest[:count])
        del self.rest[:count]
        return content

    def drip(self, content: bytes) -> None:
        """A byte at a time, and then the last of them for ever."""
        for byte in content:
            self.send(bytes([byte]))
            if self.ended.wait(PAUSE):
                return
        while not self.ended.wait(PAUSE):
            self.send(content[-1:])

    def wait(self) -> None:
        """Read nothing, say nothing, until the test is over."""
        self.ended.wait()

    def rows(self, columns: Sequence[Column], rows: Rows) -> None:
        """A whole answer to a statement."""
        self.send(described(columns), *(data_row(row) for row in rows), complete(len(rows)))


Behaviour = Callable[[Link, str], bool]
"""Asked for each statement: True if it has answered (but for the end of the request) itself."""
Greeting = Callable[[Link], Any]


def message(kind: bytes, content: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(content) + 4) + content


def described(columns: Sequence[Column]) -> bytes:
    fields = b"".join(
        name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, oid, -1, -1, 0)
        for name, oid in columns
    )
    return message(b"T", struct.pack("!h", len(columns)) + fields)


def data_row(row: Sequence[bytes | None]) -> bytes:
    cells = b"".join(
        struct.pack("!i", -1) if cell is None else struct.pack("!i", len(cell)) + cell
        for cell in row
    )
    return message(b"D", struct.pack("!h", len(row)) + cells)


def complete(count: int) -> bytes:
    return message(b"C", f"SELECT {count}".encode() + b"\0")


def greet(link: Link) -> None:
    """Let anyone in."""
    while True:
        size = struct.unpack("!i", link.take(4))[0]
        (code,) = struct.unpack_from("!i", link.take(size - 4))
        if code >> 16 == 3:
            break
        link.send(b"N")  # neither TLS nor GSS
    settings = {"server_version": "16.0", "client_encoding": "UTF8", "DateStyle": "ISO, MDY"}
    link.send(
        message(b"R", struct.pack("!i", 0)),
        *(message(b"S", f"{name}\0{value}\0".encode()) for name, value in settings.items()),
        message(b"K", struct.pack("!ii", 1, 1)),
        message(b"Z", b"I"),
    )


@contextmanager
def serve(behaviour: Behaviour, greeting: Greeting = greet) -> Iterator[dict[str, Any]]:
    """The config of a route to such a server."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        # What is written is to fill what there is of buffers.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        arguments = (listener, behaviour, greeting, ended)
        accepting = threading.Thread(target=_accept, args=arguments, daemon=True)
        accepting.start()
        try:
            yield {
                "host": "127.0.0.1",
                "port": listener.getsockname()[1],
                "database": "d",
                "user": "u",
                "sslmode": "disable",
            }
        finally:
            ended.set()
            stop_listening(listener)
            accepting.join(5)


def _accept(
    listener: socket.socket, behaviour: Behaviour, greeting: Greeting, ended: threading.Event
) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            link = Link(connection, ended)
            arguments = (link, behaviour, greeting)
            threading.Thread(target=_talk, args=arguments, daemon=True).start()


def _talk(link: Link, behaviour: Behaviour, greeting: Greeting) -> None:
    with suppress(OSError), link.connection:
        greeting(link)
        statement = ""
        while not link.ended.is_set():
            kind, size = struct.unpack("!ci", link.take(5))
            content = link.take(size - 4)
            if kind == b"Q":
                _answer(link, content[:-1].decode(), behaviour)
                link.send(message(b"Z", link.state))
            elif kind == b"P":
                statement = content.split(b"\0")[1].decode()
                if link.deaf_to and link.deaf_to in statement:
                    link.wait()
                link.send(message(b"1"))
            elif kind == b"B":
                link.send(message(b"2"))
            elif kind == b"E":
                _answer(link, statement, behaviour)
            elif kind == b"S":
                link.send(message(b"Z", link.state))
            elif kind == b"X":
                return


def _answer(link: Link, statement: str, behaviour: Behaviour) -> None:
    word = statement.split()[0].upper()
    if word in ("BEGIN", "COMMIT", "ROLLBACK"):
        link.state = b"T" if word == "BEGIN" else b"I"
        link.send(message(b"C", word.encode() + b"\0"))
    elif behaviour(link, statement):
        return
    elif "pg_attribute" in statement:
        link.rows([("there", INT4)], [[b"1"]])
    elif "set_config" in statement:
        link.rows([("set_config", TEXT)], [[b"1"]])
    elif word == "SELECT":
        link.rows([("nothing", INT4)], [])
    else:
        link.send(message(b"C", b"DONE 0\0"))
