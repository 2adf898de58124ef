"""Runs as a program: clients over HTTP, each a connection that has one request at a time.

The plainest client there is, since it shares the machine with what it measures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import uvloop

CONTENT = b"x" * 1024


@dataclass
class Counts:
    """Answers, and the seconds that each took."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """The status of one answer, which is read to its end."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    low = head.lower()
    if (at := low.find(b"content-length:")) >= 0:
        await reader.readexactly(int(low[at + 15 : low.index(b"\r\n", at)]))
    else:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return status


async def client(
    base: str, method: str, path: str, number: int, until: float, pause: float, counts: Counts
) -> None:
    """Requests until the time is over, each `pause` seconds after the one before began."""
    address = urlsplit(base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    body = CONTENT if method == "PUT" else b""
    turn = 0
    while (began := time.perf_counter()) < until:
        key = f"k{number}-{turn}" if method == "PUT" else f"k{number}-0"
        head = f"{method} {path}{key} HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n" if body else "\r\n"
        status = await ask(reader, writer, head.encode() + body)
        now = time.perf_counter()
        counts.seconds.append(now - began)
        counts.failed += status != 200
        turn += 1
        if (left := began + pause - now) > 0:
            await asyncio.sleep(left)
    writer.close()


async def load(
    base: str, method: str, path: str, clients: int, seconds: float, rate: float
) -> dict[str, object]:
    """`rate` in requests a second over all clients; 0: as many as there are."""
    counts = Counts()
    began = time.perf_counter()
    pause = clients / rate if rate else 0.0
    await asyncio.gather(
        *(
            client(base, method, path, number, began + seconds, pause, counts)
            for number in range(clients)
        )
    )
    spent = time.perf_counter() - began
    return {"seconds": counts.seconds, "failed": counts.failed, "wall": spent}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("base", "method", "path"):
        parser.add_argument(name)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--for", dest="seconds", type=float, default=4.0)
    parser.add_argument("--rate", type=float, default=0.0)
    said = parser.parse_args()
    found = uvloop.run(
        load(said.base, said.method, said.path, said.clients, said.seconds, said.rate)
    )
    print(json.dumps(found))  # noqa: T201 - for the process that asked
