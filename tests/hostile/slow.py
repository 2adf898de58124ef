"""Behaviours of servers that take more time than anybody has."""

from __future__ import annotations

from tests.hostile.server import Visit, answer


def says_nothing(visit: Visit) -> None:
    visit.take()
    visit.wait()


def drips_the_status(visit: Visit) -> None:
    visit.take()
    visit.drip(b"HTTP/1.1 200 O")


def drips_headers(visit: Visit) -> None:
    visit.take()
    visit.send(b"HTTP/1.1 200 OK\r\n")
    visit.drip(b"x-one: 1\r\nx-two: 2")


def drips_hints(visit: Visit) -> None:
    """One interim answer after the other."""
    visit.take()
    while not visit.ended.wait(0.05):
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def drips_the_body(visit: Visit) -> None:
    visit.take()
    visit.send(_head_of_large(visit))
    visit.drip(b"<")


def drips_an_error(visit: Visit) -> None:
    visit.take()
    visit.send(answer(500, headers={"Content-Length": "1000000"}))
    visit.drip(b"<Error>")


def stalls_mid_body(visit: Visit) -> None:
    visit.take()
    visit.send(_head_of_large(visit), b"<a>")
    visit.wait()


def _head_of_large(visit: Visit) -> bytes:
    headers = STORED | {"Content-Length": "1000000"}
    if "x-ms-range" not in visit.headers:
        return answer(headers=headers)
    # Azure's SDK asks for a piece, whatever it is asked for.
    return answer(206, headers=headers | {"Content-Range": "bytes 0-999999/1000000"})


def reads_a_byte_at_a_time(visit: Visit) -> None:
    while not visit.ended.wait(0.05):
        visit.connection.recv(1)


STORED = {
    "ETag": '"0123456789abcdef0123456789abcdef"',
    "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
    "Content-Type": "text/plain",
    "x-ms-blob-type": "BlockBlob",
}
"""What a service says of an object, on S3 and on Azure."""
SLOW = (
    says_nothing,
    drips_the_status,
    drips_headers,
    drips_hints,
    drips_the_body,
    drips_an_error,
    stalls_mid_body,
    reads_a_byte_at_a_time,
)
