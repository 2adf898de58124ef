"""The head of a request, where the parser leaves more to a server than to look at it."""

from __future__ import annotations

from httptools import HttpRequestParser

from signalbox.gateway.error import InvalidRequest

Headers = list[tuple[bytes, bytes]]


def offers_upgrade(parser: HttpRequestParser) -> bool:
    """Return whether the parser takes what follows this head for another protocol's.

    It does so for every request that offers one; Java's client offers h2c.
    """
    return bool(parser.should_upgrade()) and parser.get_method() != b"CONNECT"


def without_upgrade(method: bytes, url: bytes, headers: Headers) -> bytes:
    """Return the head without the offer, which a server may ignore (RFC 9110, 7.8)."""
    head = [method, b" ", url, b" HTTP/1.1\r\n"]
    for name, value in headers:
        if name == b"connection":
            kept = [each for each in value.split(b",") if each.strip().lower() != b"upgrade"]
            value = b",".join(kept)
        if name != b"upgrade":
            head += [name, b": ", value, b"\r\n"]
    return b"".join([*head, b"\r\n"])


def take_authority(method: bytes, url: bytes, headers: Headers) -> InvalidRequest | None:
    """Put the host of an absolute request address into the header Host (RFC 9112, 3.2.2).

    Returns the error for an address that is no plain one of http.
    """
    if url.startswith((b"/", b"*")) or method == b"CONNECT":
        return None
    scheme, _, rest = url.partition(b"://")
    authority = rest.partition(b"/")[0].partition(b"?")[0]
    if scheme.lower() not in (b"http", b"https") or b"@" in authority:
        return InvalidRequest(
            "the request line names neither a path nor a plain http address",
            next_step="send a path, such as GET /healthz",
        )
    if any(name == b"host" for name, _ in headers):
        headers[:] = [(name, authority if name == b"host" else value) for name, value in headers]
    return None
