"""Behaviours of servers that answer at once, and wrongly."""

from __future__ import annotations

import gzip

from tests.hostile.server import Visit, answer
from tests.hostile.slow import STORED

SECRET = "tenants/t_other/dev/raw/secret"
ESCAPE = "\x1b[31mred\x1b[0m"


def _headers(**changed: str | None) -> dict[str, str]:
    names = {name.replace("_", "-"): value for name, value in changed.items()}
    kept = {name: value for name, value in STORED.items() if name.lower() not in names}
    return kept | {name: value for name, value in names.items() if value is not None}


def _said(visit: Visit, body: bytes = b"0123", status: int = 200, **changed: str | None) -> None:
    visit.take()
    visit.send(answer(status, headers=_headers(**changed), body=body))


def without_etag(visit: Visit) -> None:
    _said(visit, etag=None)


def etag_with_escapes(visit: Visit) -> None:
    _said(visit, etag='"a\x1b[31m b"')


def long_etag(visit: Visit) -> None:
    _said(visit, etag=f'"{"e" * 5000}"')


def without_date(visit: Visit) -> None:
    _said(visit, last_modified=None)


def date_that_is_none(visit: Visit) -> None:
    _said(visit, last_modified="yesterday, perhaps")


def negative_length(visit: Visit) -> None:
    _said(visit, content_length="-5")


def absurd_length(visit: Visit) -> None:
    _said(visit, content_length="9" * 30)


def length_in_words(visit: Visit) -> None:
    _said(visit, content_length="many")


def huge_headers(visit: Visit) -> None:
    visit.take()
    visit.send(b"HTTP/1.1 200 OK\r\n", *[b"x-%d: %s\r\n" % (n, b"y" * 60000) for n in range(40)])
    visit.send(b"\r\n")


def many_headers(visit: Visit) -> None:
    visit.take()
    visit.send(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 5000, b"\r\n")


def no_http(visit: Visit) -> None:
    visit.take()
    visit.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    visit.connection.shutdown(2)


def shorter_than_it_says(visit: Visit) -> None:
    visit.take()
    visit.send(answer(headers=STORED | {"Content-Length": "10"}, body=b"short"))
    visit.connection.shutdown(2)


def garbled_chunks(visit: Visit) -> None:
    visit.take()
    head = "".join(f"{name}: {value}\r\n" for name, value in STORED.items())
    visit.send(f"HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\nzz\r\nno".encode())
    visit.connection.shutdown(2)


def range_of_something_else(visit: Visit) -> None:
    _said(visit, status=206, content_range="bytes 70-73/100")


def range_that_is_none(visit: Visit) -> None:
    _said(visit, status=206, content_range="bytes some/of it")


def range_beyond_the_whole(visit: Visit) -> None:
    _said(visit, status=206, content_range="bytes 2-5/3")


def redirects(visit: Visit) -> None:
    """To another port of its own, where nobody must come."""
    visit.take()
    status = 307 if "again" in visit.target else 302
    visit.send(
        answer(status, headers={"Location": f"http://localhost:9/{visit.target.lstrip('/')}"})
    )


def odd_status(visit: Visit) -> None:
    _said(visit, status=299, body=b"")


def code_with_escapes(visit: Visit) -> None:
    _error(visit, f"{ESCAPE}\nforged: line")


def endless_code(visit: Visit) -> None:
    _error(visit, "A" * 100_000)


def code_from_a_bomb(visit: Visit) -> None:
    visit.take()
    visit.send(answer(400, headers={"x-ms-error-code": "Odd"}, body=_bomb(b"<Code>&j;</Code>")))


def _error(visit: Visit, code: str) -> None:
    visit.take()
    header = code.replace("\n", " ")[:8000]
    body = f"<?xml version='1.0'?><Error><Code>{_xml(code)}</Code><Message>m</Message></Error>"
    visit.send(answer(400, headers={"x-ms-error-code": header}, body=body.encode()))


def _xml(text: str) -> str:
    # Control characters are no XML: a parser that takes them is asked, too.
    return text.replace("<", "&lt;")


def _bomb(within: bytes) -> bytes:
    """A billion laughs, for an expander that takes them."""
    entities = b"<!ENTITY a 'ha'>" + b"".join(
        b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 100) for n in range(9)
    )
    return b"<?xml version='1.0'?><!DOCTYPE x [" + entities + b"]><Error>" + within + b"</Error>"


def _page(*names: str, token: str = "", size: str = "3") -> bytes:
    """A page as both services give it: each reads its own part."""
    s3 = "".join(
        f"<Contents><Key>{name}</Key><Size>{size}</Size><ETag>e</ETag>"
        "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
        for name in names
    )
    truncated = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        "<?xml version='1.0'?><ListBucketResult>"
        f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>{truncated}{s3}"
        "</ListBucketResult>"
    ).encode()


def _azure_page(*names: str, token: str = "", size: str = "3") -> bytes:
    blobs = "".join(
        f"<Blob><Name>{name}</Name><Properties><Content-Length>{size}</Content-Length>"
        "<Etag>e</Etag><Last-Modified>Mon, 01 Jan 2024 00:00:00 GMT</Last-Modified>"
        "<BlobType>BlockBlob</BlobType></Properties></Blob>"
        for name in names
    )
    return (
        "<?xml version='1.0'?><EnumerationResults ContainerName='data'>"
        f"<Blobs>{blobs}</Blobs><NextMarker>{token}</NextMarker></EnumerationResults>"
    ).encode()


def _list(visit: Visit, *names: str, token: str = "", size: str = "3") -> None:
    visit.take()
    page = _azure_page if visit.target.startswith("/acme") else _page
    visit.send(
        answer(
            headers={"Content-Type": "application/xml"}, body=page(*names, token=token, size=size)
        )
    )


OWN = "tenants/t_demo/dev/raw/"


def lists_what_is_anothers(visit: Visit) -> None:
    _list(visit, f"{OWN}a", SECRET)


def lists_more_than_was_asked(visit: Visit) -> None:
    _list(visit, *(f"{OWN}{n}" for n in range(9)))


def lists_negative_sizes(visit: Visit) -> None:
    _list(visit, f"{OWN}a", size="-5")


def lists_without_end(visit: Visit) -> None:
    """The page behind is the same page."""
    _list(visit, token="again")


def lists_empty_pages(visit: Visit) -> None:
    _list(visit, token=f"page{id(visit)}")


def lists_a_bomb(visit: Visit) -> None:
    visit.take()
    visit.send(answer(headers={"Content-Type": "application/xml"}, body=_bomb(b"&j;")))


def lists_what_is_no_xml(visit: Visit) -> None:
    visit.take()
    visit.send(answer(headers={"Content-Type": "application/xml"}, body=b"{'not': xml}"))


def lists_what_expands(visit: Visit) -> None:
    visit.take()
    body = gzip.compress(bytes(1 << 20)) * 64
    visit.send(
        answer(headers={"Content-Type": "application/xml", "Content-Encoding": "gzip"}, body=body)
    )


def floods(visit: Visit) -> None:
    """An answer without an end, at full speed."""
    visit.take()
    visit.send(b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not visit.ended.is_set():
        visit.send(b"10000\r\n", b"x" * 65536, b"\r\n")


OF_ONE = (
    without_date,
    date_that_is_none,
    negative_length,
    absurd_length,
    length_in_words,
    without_etag,
    etag_with_escapes,
    long_etag,
)
"""What is said of one object; a delete cares for none of it."""
OF_CONTENT = (
    shorter_than_it_says,
    garbled_chunks,
    range_of_something_else,
    range_that_is_none,
    range_beyond_the_whole,
)
OF_ALL = (
    huge_headers,
    many_headers,
    no_http,
    redirects,
    odd_status,
    code_with_escapes,
    endless_code,
    code_from_a_bomb,
    floods,
)
OF_LISTS = (
    lists_what_is_anothers,
    lists_more_than_was_asked,
    lists_negative_sizes,
    lists_without_end,
    lists_empty_pages,
    lists_a_bomb,
    lists_what_is_no_xml,
    lists_what_expands,
)
