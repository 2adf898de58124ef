"""Runs as a program: clients over HTTP, each a connection that has one request at a time.

It shares the machine with what it measures, so it is as cheap as it can be: plain sockets, and of
an answer nothing is read but its status and its length. It says what processor time it took itself.
"""

from __future__ import annotations

import argparse
import json
import random
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CONTENT = b"x" * 1024
TIMEOUT = 30.0
"""Seconds; who hears nothing for so long gives up."""


@dataclass
class Counts:
    """Answers, and the seconds that each took from the moment at which it was to be asked."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0


class Connection:
    """One client. Its requests differ in their keys alone."""

    def __init__(self, base: str, method: str, path: str, number: int) -> None:
        address = urlsplit(base)
        self._socket = socket.create_connection((str(address.hostname), int(address.port or 80)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"{method} {path}k{number}-".encode()
        self._tail = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        if is_put := method == "PUT":
            length = b"Content-Length: %d\r\n\r\n" % len(CONTENT)
            self._tail = self._tail[:-2] + length + CONTENT
        self._step = int(is_put)
        self._turn = 0
        self._got = b""
        self.began = 0.0

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, began: float) -> None:
        """Send the next request, which was to be sent at that moment (`perf_counter`)."""
        self.began = began
        self._socket.sendall(b"%b%d%b" % (self._head, self._turn, self._tail))
        self._turn += self._step

    def answer(self) -> int | None:
        """Its status; None: the rest is to come. Raises EOFError."""
        part = self._socket.recv(65536)
        if not part:
            raise EOFError("the server closed the connection")
        got = self._got = self._got + part
        end = got.find(b"\r\n\r\n")
        if end < 0:
            return None
        at = got.lower().find(b"content-length:", 0, end)
        length = int(got[at + 15 : got.index(b"\r\n", at)])
        if len(got) < end + 4 + length:
            return None
        self._got = b""
        return int(got[9:12])

    def close(self) -> None:
        self._socket.close()


def arrivals(rate: float, seconds: float) -> Iterator[float]:
    """Moments (`perf_counter`) at which requests come, as of many clients who know nothing of each
    other: a Poisson process, the same each time."""
    chance = random.Random(1)
    moment = time.perf_counter()
    until = moment + seconds
    while (moment := moment + chance.expovariate(rate)) < until:
        yield moment


def load(
    base: str, method: str, path: str, clients: int, seconds: float, rate: float
) -> dict[str, object]:
    """`rate` in requests a second over all clients; 0: each asks again once it has its answer."""
    counts = Counts()
    every = [Connection(base, method, path, number) for number in range(clients)]
    with select.epoll() as poll:
        by_number = {each.fileno(): each for each in every}
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        began, spent = time.perf_counter(), time.process_time()
        if rate:
            _as_they_come(poll, by_number, deque(arrivals(rate, seconds)), counts)
        else:
            _one_behind_another(poll, by_number, began + seconds, counts)
        wall = time.perf_counter() - began
        cpu = time.process_time() - spent
    for each in every:
        each.close()
    return {"seconds": counts.seconds, "failed": counts.failed, "wall": wall, "cpu": cpu}


def _one_behind_another(
    poll: select.epoll, connections: dict[int, Connection], until: float, counts: Counts
) -> None:
    for each in connections.values():
        each.ask(time.perf_counter())
    asking = len(connections)
    while asking:
        for connection in _answered(poll, connections, TIMEOUT, counts):
            if (now := time.perf_counter()) < until:
                connection.ask(now)
            else:
                asking -= 1


def _as_they_come(
    poll: select.epoll, connections: dict[int, Connection], coming: deque[float], counts: Counts
) -> None:
    """A request that finds no client free waits for one, and its time counts."""
    idle = deque(connections.values())
    while coming or len(idle) < len(connections):
        while coming and idle and coming[0] <= time.perf_counter():
            idle.popleft().ask(coming.popleft())
        wait = TIMEOUT
        if coming and idle:
            wait = max(0.0, coming[0] - time.perf_counter())
        idle.extend(_answered(poll, connections, wait, counts))


def _answered(
    poll: select.epoll, connections: dict[int, Connection], wait: float, counts: Counts
) -> list[Connection]:
    """Who has an answer now, or within so many seconds. Raises TimeoutError, EOFError."""
    # Unlike epoll, which counts milliseconds, select waits no longer than it is told.
    if wait and not select.select([poll.fileno()], (), (), wait)[0]:
        if wait == TIMEOUT:
            raise TimeoutError(f"no answer in {TIMEOUT:g} s")
        return []
    found: list[Connection] = []
    for number, _ in poll.poll(0):
        connection = connections[number]
        status = connection.answer()
        if status is not None:
            counts.seconds.append(time.perf_counter() - connection.began)
            counts.failed += status != 200
            found.append(connection)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("base", "method", "path"):
        parser.add_argument(name)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--for", dest="seconds", type=float, default=4.0)
    parser.add_argument("--rate", type=float, default=0.0)
    said = parser.parse_args()
    found = load(said.base, said.method, said.path, said.clients, said.seconds, said.rate)
    print(json.dumps(found))  # noqa: T201 - for the process that asked
