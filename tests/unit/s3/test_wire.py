"""What our own HTTP takes for an answer, and what it does not."""

from __future__ import annotations

import pytest

from adapters.s3.wire import Garbled, Wire
from tests.unit.s3.stand_in import StandIn, answer


def ask(service: StandIn, said: bytes, method: str = "GET") -> tuple[int, bytes]:
    service.answers.append(said)
    wire = Wire(service.endpoint)
    found = wire.send(method, "/x", {"host": wire.host})
    return found.status, found.body


def test_an_answer_with_a_length_in_chunks_or_until_its_end_is_whole(service: StandIn) -> None:
    assert ask(service, answer(body=b"one")) == (200, b"one")
    head = b"HTTP/1.1 200 OK\r\n"
    chunks = b"3;x=y\r\none\r\n4\r\n two\r\n0\r\ntrailer: 1\r\n\r\n"
    assert ask(service, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks) == (200, b"one two")
    assert ask(service, head + b"\r\nuntil the end") == (200, b"until the end")
    assert ask(service, b"HTTP/1.1 100 Continue\r\n\r\n" + answer(204)) == (204, b"")
    assert ask(service, answer(404, headers={"Content-Length": "7"}), "HEAD") == (404, b"")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 2xx OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort",
        b"HTTP/1.1 200 OK\r\nx: y",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_garbled(service: StandIn, said: bytes) -> None:
    with pytest.raises(Garbled):
        ask(service, said)


def test_no_header_is_smuggled_in(service: StandIn) -> None:
    wire = Wire(service.endpoint)
    for bad in ({"x": "a\r\ny: b"}, {"x": "a\ny: b"}):
        with pytest.raises(ValueError, match="end of a line"):
            wire.send("GET", "/x", {"host": wire.host} | bad)
    assert service.requests == []
