"""Where a request ends: whoever reads it otherwise cannot hide a second one in it (RFC 9112)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.raw import ask, connect, head, read
from tests.gateway.recorder import Served, served


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


SMUGGLED = head("PUT", "/v1/objects/t_demo/dev/smuggled", "Content-Length: 1") + b"y"
OUTER = "/v1/objects/t_demo/dev/outer"
OUTER_PUT = head("PUT", OUTER, "Content-Length: 1") + b"x"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((f"Content-Length: {len(SMUGGLED)}",) * 2, b""),
        ((f"Content-Length: {len(SMUGGLED)}, {len(SMUGGLED)}",), b""),
        (("Content-Length: +0",), b""),
        (("Content-Length: 0x0",), b""),
        (("Content-Length:",), b""),
        (("Content-Length: 0 0",), b""),
        (("Content-Length: 0\r\n 5",), b""),
        (("Content-Length : 0",), b""),
        ((" Content-Length: 0",), b""),
        (("X-A: a\rContent-Length: 0",), b""),
        (("X-A: a\0b",), b""),
        (("X-A",), b""),
        (("Transfer-Encoding: xchunked",), b"0\r\n\r\n"),
        (("Transfer-Encoding: chunked, chunked",), b"0\r\n\r\n"),
        (("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), b"0\r\n\r\n"),
        (("Transfer-Encoding: identity", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
        (("Transfer-Encoding: gzip, chunked",), b"0\r\n\r\n"),
        (("Transfer-Encoding:\x0bchunked",), b"0\r\n\r\n"),
        (("Transfer-Encoding:\r\n chunked",), b"0\r\n\r\n"),
        (('Transfer-Encoding: "chunked"',), b"0\r\n\r\n"),
        (("Content-Length: 5", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
        (("Transfer-Encoding: chunked", f"Content-Length: {len(SMUGGLED)}"), b"0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"0x0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"-1\r\nx\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"10000000000000000\r\n"),
        (("Transfer-Encoding: chunked",), b"1\nx\n0\n\n"),
        (("Transfer-Encoding: chunked",), b"1;\nx\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"1\r\nxx\r\n0\r\n\r\n"),
    ],
)
def test_who_reads_another_length_smuggles_no_request(
    server: Served, headers: tuple[str, ...], body: bytes
) -> None:
    """One answer, and nothing of what stands behind it is read."""
    before = len(server.services.taken)
    with connect(server.port) as connection:
        connection.sendall(head("PUT", OUTER, *headers) + body + SMUGGLED)
        answer = read(connection)
        assert answer is not None
        assert (answer.status, answer.json()["error_code"]) == (400, "INVALID_REQUEST")
        assert read(connection) is None
    assert len(server.services.taken) == before


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_of_a_read_is_no_request(server: Served, method: str, chunked: bool) -> None:
    before = len(server.services.taken)
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(SMUGGLED)}"
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED) if chunked else SMUGGLED
    with connect(server.port) as connection:
        connection.sendall(head(method, "/v1/objects/t_demo/dev/k", length) + body)
        connection.sendall(head("GET", "/nothing"))
        statuses: list[int] = []
        for _ in range(2):
            answer = read(connection, head_only=method == "HEAD" and not statuses)
            assert answer is not None
            statuses.append(answer.status)
    assert statuses == [200, 404]
    assert len(server.services.taken) == before


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "3.0", "1.10"])
def test_another_version_of_http_is_refused(server: Served, version: str) -> None:
    before = len(server.services.taken)
    answer = ask(server.port, OUTER_PUT.replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
    assert answer is not None
    assert (answer.status, answer.json()["error_code"]) == (400, "INVALID_REQUEST")
    assert len(server.services.taken) == before


def test_http_1_0_is_answered_and_its_connection_closed(server: Served) -> None:
    with connect(server.port) as connection:
        connection.sendall((OUTER_PUT + SMUGGLED).replace(b"HTTP/1.1", b"HTTP/1.0"))
        answer = read(connection)
        assert answer is not None
        assert answer.status == 200
        assert read(connection) is None
    assert server.services.taken[-1].subject == "outer"


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/nexus/raw/put", "X_Tenant_Id: t_demo"),
        ("/v1/objects/t_demo/dev/k", "Transfer_Encoding: chunked"),
    ],
)
def test_an_underscore_makes_another_header(server: Served, path: str, header: str) -> None:
    method = "POST" if path.startswith("/nexus") else "PUT"
    answer = ask(
        server.port, head(method, path, header, "X-Key: k", "Content-Length: 5") + b"0\r\n\r\n"
    )
    assert answer is not None
    if method == "POST":
        assert (answer.status, answer.json()["error_code"]) == (400, "INVALID_REQUEST")
    else:
        assert answer.status == 200
        assert server.services.taken[-1].size == 5


@pytest.mark.parametrize("date", ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_the_clock_of_a_client_does_not_count(server: Served, date: str) -> None:
    request = head("PUT", OUTER, f"Date: {date}", "Content-Length: 1") + b"x"
    answer = ask(server.port, request)
    assert answer is not None
    assert answer.status == 200
    of_future = "9999" in date
    for name, status in (
        ("If-Modified-Since", 304 if of_future else 200),
        ("If-Unmodified-Since", 200 if of_future else 412),
    ):
        answer = ask(server.port, head("GET", "/v1/objects/t_demo/dev/k", f"{name}: {date}"))
        assert answer is not None
        assert answer.status == status, name
