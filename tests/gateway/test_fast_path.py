"""Put and get of an object answer the same past the framework and through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from signalbox.commands.error import AlreadyExists, RateLimited
from tests.gateway.raw import ask, head
from tests.gateway.recorder import Served, served

PATHS = (
    *("t_demo/dev/a", "t_demo/dev/a/b%2Fc", "t_demo/dev/%C3%BC", "t_demo/dev/..", "t_demo/dev/"),
    *("t_demo/dev", "t_DEMO/dev/a", "t_demo/DEV/a", "t_demo%2Fdev/a", "t_demo/dev/%zz", "/dev/a"),
    *(
        "t_demo/dev//a",
        "t_demo/dev/a?b=1",
        "t_demo/dev/a?",
        "t_demo//a",
        "t_demo/dev/a%00",
        "t_d%65mo/dev/a",
    ),
)
HEADERS = (
    *((), ("X-Mode: saas",), ("X-Mode: god",), ("X-Mode: LAB",), ("X-After: a b",)),
    *(("X-After: op-1",), ("Idempotency-Key: k-1",), ("Idempotency-Key: a b",)),
    *(("Idempotency-Key: ",), ("Prefer: respond-async", "Idempotency-Key: k-2")),
    *(('If-Match: "e1"',), ("If-Match: e1",), ("If-None-Match: *",), ('If-None-Match: "e1"',)),
    *(("Range: bytes=1-2",), ("Range: bytes=-2",), ("Range: bytes=99-",)),
    *(("X-Meta-Author: Ann", "Content-Type: text/plain"), ("X-Meta-Signalbox-Seq: 1",)),
    *(("If-Unmodified-Since: 1",), ("Content-Encoding: gzip",), ("Content-Range: bytes 0-0/1",)),
    *(("X-Meta-: 1",), ("X-Content-SHA256: x",), ("Content-Type: none",)),
)


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Served, Served]]:
    with served() as fast, served(fast_path=lambda *_: None) as plain:
        yield fast, plain


def said(server: Served, method: str, path: str, headers: tuple[str, ...]) -> dict[str, Any]:
    """What it answered, and what it took or read for it."""
    services = server.services
    taken, read = len(services.taken), len(services.read_)
    writes = method in ("PUT", "POST")
    length = ("Content-Length: 1",) if writes else ()
    whole = path if path.startswith("/nexus") else f"/v1/objects/{path}"
    answer = ask(server.port, head(method, whole, *length, *headers) + b"x" * writes)
    assert answer is not None
    named = writes and any("Idempotency-Key: k" in header for header in headers)
    hidden = {"date"} | (set() if named else {"x-op-id", "location"})
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    document = answer.json() if is_problem else {}
    return {
        "status": answer.status,
        "code": document.get("error_code"),
        "headers": {
            name: value
            for name, value in answer.headers.items()
            if name not in hidden and not (is_problem and name == "content-length")
        },
        "body": None if is_problem or answer.status != 206 else answer.body,
        "commands": [
            command.model_dump(exclude=None if named else {"op_id"})
            for command in [*services.taken[taken:], *services.read_[read:]]
        ],
    }


@pytest.mark.parametrize("method", ["PUT", "GET"])
@pytest.mark.parametrize("path", PATHS)
def test_every_spelling_of_a_path(both: tuple[Served, Served], method: str, path: str) -> None:
    fast, plain = (said(server, method, path, ()) for server in both)
    assert fast == plain


@pytest.mark.parametrize("method", ["PUT", "GET"])
@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: ", ".join(headers) or "none")
def test_every_header(both: tuple[Served, Served], method: str, headers: tuple[str, ...]) -> None:
    fast, plain = (said(server, method, "t_demo/dev/a", headers) for server in both)
    assert fast == plain


@pytest.mark.parametrize("error", [AlreadyExists("it is there"), RateLimited("too many")])
def test_every_error(both: tuple[Served, Served], error: Any) -> None:
    for server in both:
        server.services.error = error
    try:
        for method in ("PUT", "GET"):
            fast, plain = (
                said(server, method, "t_demo/dev/a", ("If-None-Match: *",)) for server in both
            )
            assert fast == plain
    finally:
        for server in both:
            server.services.error = None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", "/nexus/raw/put"), ("POST", "/nexus/raw/put?key=a")),
        *(("GET", "/nexus/raw/get?key=a"), ("GET", "/nexus/raw/get")),
        ("GET", "/nexus/raw/get?key=a&other=1"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("X-Tenant-Id: t_demo",),
        ("X-Key: a",),
        ("X-Tenant-Id: t_demo", "X-Key: a"),
        ("X-Tenant-Id: t_demo", "X-Key: ../a"),
        ("X-Tenant-Id: t_demo", "X-Key: "),
        ("X-Tenant-Id: t_DEMO", "X-Key: a"),
        ("X-Tenant-Id: t_demo", "X-Key: a", "X-Env: prod", "X-Mode: saas"),
        ("X-Tenant-Id: t_demo", "X-Key: a", "X-Env: PROD"),
        ("X-Tenant-Id: t_demo", "X-Key: a", "X-Mode: none"),
        ("X-Tenant-Id: t_demo", "X-Key: a", "Idempotency-Key: k-3", "Prefer: respond-async"),
        ("X-Tenant-Id: t_demo", "X-Key: a", "X-After: op-1", "Range: bytes=0-1"),
        ("X-Tenant-Id: t_demo", "X-Key: a", "If-None-Match: *"),
    ],
    ids=", ".join,
)
def test_the_first_calls(
    both: tuple[Served, Served], method: str, path: str, headers: tuple[str, ...]
) -> None:
    fast, plain = (said(server, method, path, headers) for server in both)
    assert fast == plain
