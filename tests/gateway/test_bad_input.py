"""Bad input over raw sockets: each a typed error, nothing executed, no op_id taken."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from tests.gateway.raw import Answer, ask, connect, head, read
from tests.gateway.recorder import Served, served

TENANT = "X-Tenant-Id: t_demo"
JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(
        header_limit_bytes=4096, header_limit=30, json_limit_bytes=4096, body_limit_bytes=8192
    ) as running:
        yield running


def refused(server: Served, request: bytes, code: str, status: int = 400) -> Answer:
    before = len(server.services.taken), server.services.called
    answer = ask(server.port, request)
    assert answer is not None, "the connection was closed without an answer"
    assert answer.headers["content-type"] == "application/problem+json", answer
    document = answer.json()
    assert (document["error_code"], answer.status) == (code, status), document
    assert document["status"] == status
    assert document["detail"]
    assert document["next_step"]
    assert (len(server.services.taken), server.services.called) == before
    return answer


def put(path: str, *headers: str, body: bytes = b"x") -> bytes:
    return head("PUT", path, f"Content-Length: {len(body)}", *headers) + body


@pytest.mark.parametrize(
    "key",
    [
        "%2e%2e/secret",
        "a/%2e%2e/b",
        "a/%2E%2e%2fb",
        "../secret",
        "a/../b",
        "a%2F..%2Fb",
        "a//b",
        "a%2F%2Fb",
        "%2Fabsolute",
        "/absolute",
        "a%00b",
        "a%0d%0aX-Evil:%201",
        "a%7f",
        ".",
        "a/.",
        "x" * 1025,
        "%ED%A0%80",
        "%C0%AE%C0%AE/a",
    ],
)
def test_a_hostile_key_is_refused(server: Served, key: str) -> None:
    before = len(server.services.taken)
    answer = ask(server.port, put(f"/v1/objects/t_demo/dev/{key}"))
    assert answer is not None
    assert answer.status == 400
    assert answer.json()["error_code"] in ("INVALID_KEY", "INVALID_REQUEST")
    assert len(server.services.taken) == before


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("%252e%252e/a", "%2e%2e/a"),
        ("a%2Fb", "a/b"),
        ("a%20b+c", "a b+c"),
        ("%C3%BC", "ü"),
        ("u%CC%88", "u\u0308"),
        ("a%3Fb%23c", "a?b#c"),
        ("...", "..."),
    ],
)
def test_a_key_is_decoded_once_and_never_normalised(server: Served, sent: str, key: str) -> None:
    answer = ask(server.port, put(f"/v1/objects/t_demo/dev/{sent}"))
    assert answer is not None
    assert answer.status == 200, answer
    assert server.services.taken[-1].subject == key


def test_a_slash_within_a_part_of_a_path_is_no_separator(server: Served) -> None:
    body = b"{}"
    answer = ask(server.port, put("/v1/rows/t_demo/dev/a%2Fb/c", JSON, body=body))
    assert answer is not None
    assert answer.status == 200
    assert server.services.taken[-1].subject == "a/b/c"
    refused(server, put("/v1/rows/t_demo%2Fdev/a/c", JSON, body=body), "NO_SUCH_PATH", 404)
    refused(server, put("/v1/objects/t_demo%2Fdev/a", body=body), "METHOD_NOT_ALLOWED", 405)


@pytest.mark.parametrize(
    ("request_", "code", "status"),
    [
        (head("GET", "/v1/objects/t_demo/dev/a%zz"), "INVALID_REQUEST", 400),
        (head("GET", "/v1/objects/t_demo/dev/a%"), "INVALID_REQUEST", 400),
        (head("GET", "/v1/objects/t_demo/dev/%ff"), "INVALID_REQUEST", 400),
        (head("GET", "/nexus/raw/get?key=%ff", TENANT), "INVALID_REQUEST", 400),
        (head("GET", "/nexus/raw/get?key=%2e%2e/a", TENANT), "INVALID_KEY", 400),
        (head("GET", "/nexus/raw/get", TENANT), "INVALID_REQUEST", 400),
        (head("GET", "/nexus/raw/get?key=a"), "INVALID_REQUEST", 400),
        (head("GET", "/nexus/raw/get?key=a&key=b", TENANT), "INVALID_REQUEST", 400),
        (head("GET", "/v1/objects/t_demo/dev?limit=1&limit=2"), "INVALID_REQUEST", 400),
        (head("GET", "/nexus/raw/get?key=a", "X-Tenant-Id: T_Demo"), "INVALID_SCOPE", 400),
        (head("GET", "/nexus/raw/get?key=a", TENANT, "X-Mode: god"), "INVALID_REQUEST", 400),
        (head("GET", "/nexus/raw/get?key=a", TENANT, TENANT), "INVALID_REQUEST", 400),
        (head("GET", "/v1/objects/t_DEMO/dev/a"), "INVALID_SCOPE", 400),
        (head("GET", "/v1/objects/t_demo/DEV/a"), "INVALID_SCOPE", 400),
        (head("GET", "/v2/objects/t_demo/dev/a"), "NO_SUCH_PATH", 404),
        (head("GET", "/nothing"), "NO_SUCH_PATH", 404),
        (head("DELETE", "/routing/routes"), "METHOD_NOT_ALLOWED", 405),
        (head("GET", "/healthz", host="evil.example"), "WRONG_HOST", 421),
        (head("GET", "/healthz", "Origin: http://evil.example"), "FOREIGN_ORIGIN", 403),
        (head("GET", "/healthz", "Origin: null"), "FOREIGN_ORIGIN", 403),
        (b"GET /healthz HTTP/1.1\r\n\r\n", "INVALID_REQUEST", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "INVALID_REQUEST", 400),
        (b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", "INVALID_REQUEST", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", "INVALID_REQUEST", 400),
        (head("GET", "/healthz", "X-A: a\x00b"), "INVALID_REQUEST", 400),
        (head("GET", "/healthz", "X A: b"), "INVALID_REQUEST", 400),
    ],
)
def test_a_request_that_does_not_fit_is_a_typed_error(
    server: Served, request_: bytes, code: str, status: int
) -> None:
    refused(server, request_, code, status)


@pytest.mark.parametrize(
    "headers",
    [
        ("Idempotency-Key: a", "Idempotency-Key: b"),
        ("Idempotency-Key: a b",),
        ("Idempotency-Key: " + "x" * 200,),
        ('If-Match: "a", "b"',),
        ("If-Match: *",),
        ('If-None-Match: "a"',),
        ("If-None-Match: *", 'If-Match: "a"'),
        ("Content-Type: no type",),
        ("X-Meta-signalbox-seq: 1",),
        ("X-Meta-Name: \xfc",),
        ("X-Content-SHA256: abc",),
        ("X-Meta-A: " + "x" * 1900,),
        ("Content-Range: bytes 0-0/10",),
        ("If-Unmodified-Since: Sat, 31 Jan 2026 00:00:00 GMT",),
    ],
)
def test_a_header_that_does_not_fit_stores_nothing(
    server: Served, headers: tuple[str, ...]
) -> None:
    before = len(server.services.taken)
    answer = ask(server.port, put("/v1/objects/t_demo/dev/a", *headers))
    assert answer is not None
    assert answer.status == 400, answer
    assert answer.json()["error_code"] in ("INVALID_REQUEST", "INVALID_COMMAND")
    assert len(server.services.taken) == before


def test_spaces_around_a_header_are_not_its_value(server: Served) -> None:
    headers = ("Idempotency-Key:  k-spaces \t ", "X-Mode: lab  ", "If-None-Match: * ")
    answer = ask(server.port, put("/v1/objects/t_demo/dev/a", *headers))
    assert answer is not None
    assert answer.status == 200, answer
    assert server.services.taken[-1].op_id == "k-spaces"


@pytest.mark.parametrize("encoding", ["gzip", "aws-chunked", "GZIP, identity"])
@pytest.mark.parametrize(
    "request_",
    [
        ("PUT", "/v1/objects/t_demo/dev/a"),
        ("POST", "/nexus/raw/put", TENANT, "X-Key: k"),
        ("PUT", "/v1/rows/t_demo/dev/a/b", JSON),
    ],
)
def test_an_encoded_body_is_not_stored_as_if_it_were_the_content(
    server: Served, encoding: str, request_: tuple[str, ...]
) -> None:
    sent = head(*request_, f"Content-Encoding: {encoding}", "Content-Length: 2") + b"{}"
    refused(server, sent, "UNSUPPORTED_MEDIA_TYPE", 415)


@pytest.mark.parametrize(
    "request_",
    [
        ("DELETE", "/v1/objects/t_demo/dev/a", "If-None-Match: *"),
        ("POST", "/nexus/raw/put", TENANT, "X-Key: k", "If-None-Match: *"),
        ("POST", "/nexus/raw/put", TENANT, "X-Key: k", 'If-Match: "e1"'),
        ("PUT", "/v1/rows/t_demo/dev/a/b", JSON, "If-Unmodified-Since: yesterday"),
        ("POST", "/storage/tabular/a/upsert", TENANT, JSON, "If-None-Match: *"),
        ("POST", "/v1/points/t_demo/dev", JSON, 'If-Match: "1"'),
        ("PUT", "/v1/locks/object_store/t_demo/dev", JSON, 'If-Match: "1"'),
        ("POST", "/v1/commands", JSON, 'If-Match: "1"'),
        ("POST", "/v1/commands", JSON, "Idempotency-Key: k-1"),
    ],
)
def test_a_promise_that_a_call_does_not_keep_is_refused(
    server: Served, request_: tuple[str, ...]
) -> None:
    body = b'{"commands": [{}]}' if "/v1/commands" in request_ else b"{}"
    sent = head(*request_, f"Content-Length: {len(body)}") + body
    detail = refused(server, sent, "INVALID_REQUEST").json()["detail"]
    assert detail.lower().startswith("header.i")


@pytest.mark.parametrize(
    "request_",
    [
        ("DELETE", "/v1/objects/t_demo/dev/a"),
        ("DELETE", "/v1/rows/t_demo/dev/a/b"),
        ("DELETE", "/v1/locks/object_store/t_demo/dev?reason=r"),
    ],
)
def test_a_call_with_a_broken_body_that_it_does_not_need_is_refused(
    server: Served, request_: tuple[str, ...]
) -> None:
    sent = head(*request_, "Transfer-Encoding: chunked", "X-Actor: ann")
    refused(server, sent + b"zz\r\n", "INVALID_REQUEST")
    refused(server, sent + b"2000\r\n" + b"x" * 0x2000, "TOO_LARGE", 413)
    answer = ask(server.port, sent.replace(b"/locks/", b"/nothing/") + b"1\r\nx\r\n0\r\n\r\n")
    assert answer is not None
    assert answer.status in (200, 404)


def test_a_key_in_a_header_is_utf8_and_is_not_decoded_as_a_url(server: Served) -> None:
    request = head("POST", "/nexus/raw/put", TENANT, "Content-Length: 1", "X-Key: %K")
    for sent, key in ((b"\xc3\xbc/a", "ü/a"), (b"a%2e%2e", "a%2e%2e")):
        answer = ask(server.port, request.replace(b"%K", sent) + b"x")
        assert answer is not None
        assert answer.status == 200, answer
        assert server.services.taken[-1].subject == key
    refused(server, request.replace(b"%K", b"\xff") + b"x", "INVALID_KEY")
    refused(server, request.replace(b"%K", b"../a") + b"x", "INVALID_KEY")


def json_body(body: bytes, path: str = "/v1/commands") -> bytes:
    return head("POST", path, JSON, f"Content-Length: {len(body)}") + body


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"", "INVALID_REQUEST", 400),
        (b"{", "INVALID_COMMAND", 400),
        (b"nonsense", "INVALID_COMMAND", 400),
        (b'{"commands": NaN}', "INVALID_COMMAND", 400),
        (b"\xff\xfe", "INVALID_COMMAND", 400),
        (b"[" * 2000, "INVALID_COMMAND", 400),
        (b"[" * 100 + b"]" * 100, "INVALID_COMMAND", 400),
        (b'{"commands": [' + b"1" * 5000 + b"]}", "TOO_LARGE", 413),
        (b'{"commands": [' + b"1" * 4000 + b"]}", "INVALID_REQUEST", 400),
        (b'{"commands": []}', "INVALID_REQUEST", 400),
        (b'{"commands": {}}', "INVALID_REQUEST", 400),
        (b'{"commands": [{}], "more": 1}', "INVALID_REQUEST", 400),
        (b'{"commands": [' + b",".join([b"{}"] * 501) + b"]}", "INVALID_REQUEST", 400),
        (b"[]", "INVALID_REQUEST", 400),
    ],
)
def test_a_body_that_is_no_request_is_a_typed_error(
    server: Served, body: bytes, code: str, status: int
) -> None:
    refused(server, json_body(body), code, status)


def test_json_that_is_not_declared_is_refused(server: Served) -> None:
    body = b'{"commands": []}'
    request = head("POST", "/v1/commands", f"Content-Length: {len(body)}") + body
    refused(server, request, "UNSUPPORTED_MEDIA_TYPE", 415)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"op": "object_store.put"}, "INVALID_COMMAND"),
        ({"op": "object_store.fly"}, "UNKNOWN_COMMAND"),
        ({"op": "object_store.head", "v": 2}, "UNSUPPORTED_VERSION"),
        (
            {"op": "object_store.head", "tenant_id": "../x", "env": "dev", "key": "k"},
            "INVALID_SCOPE",
        ),
        ({"op": "object_store.head", "tenant_id": "t_a", "env": "dev", "key": ".."}, "INVALID_KEY"),
        (
            {
                "op": "routing.probe",
                "tenant_id": "t_a",
                "env": "dev",
                "resource_kind": "object_store",
            },
            "CONTROL_REFUSED",
        ),
        (
            {
                "op": "object_store.put",
                "tenant_id": "t_a",
                "env": "dev",
                "key": "k",
                "payload": {"type": "staged", "ref": "0" * 32, "size": 1, "sha256": "0" * 64},
            },
            "INVALID_COMMAND",
        ),
    ],
)
def test_a_command_that_is_none_is_refused_alone(
    server: Served, document: dict[str, Any], code: str
) -> None:
    before = len(server.services.taken)
    good: dict[str, Any] = {"op": "tabular_store.upsert", "tenant_id": "t_a", "env": "dev"}
    good |= {"table_name": "t", "key": "k", "data": {}, "op_id": "good-1"}
    answer = ask(server.port, json_body(json.dumps({"commands": [document, good]}).encode()))
    assert answer is not None
    assert answer.status == 200, answer
    bad, well = answer.json()["results"]
    assert (bad["state"], bad["error"]["error_code"]) == ("refused", code)
    assert (well["state"], well["op_id"]) == ("done", "good-1")
    assert [command.op_id for command in server.services.taken[before:]] == ["good-1"]


def test_a_body_over_the_limit_is_refused_declared_or_not(server: Served) -> None:
    path = "/v1/objects/t_demo/dev/a"
    refused(server, head("PUT", path, "Content-Length: 9000"), "TOO_LARGE", 413)
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    refused(server, head("PUT", path, "Transfer-Encoding: chunked") + chunk * 3, "TOO_LARGE", 413)
    refused(
        server,
        head("POST", "/v1/commands", JSON, "Transfer-Encoding: chunked") + chunk * 3,
        "TOO_LARGE",
        413,
    )


@pytest.mark.parametrize(
    "request_",
    [
        head("PUT", "/v1/objects/t_demo/dev/a", "Content-Length: 10") + b"short",
        head("PUT", "/v1/objects/t_demo/dev/a", "Transfer-Encoding: chunked") + b"5\r\nsho",
        head("PUT", "/v1/objects/t_demo/dev/a", "Transfer-Encoding: chunked") + b"5\r\nshort\r\n",
        head("POST", "/nexus/raw/put", TENANT, "X-Key: k", "Content-Length: 10") + b"short",
        json_body(b'{"commands": []}')[:-1],
    ],
)
def test_a_body_that_ends_early_stores_nothing(server: Served, request_: bytes) -> None:
    before = len(server.services.taken)
    with connect(server.port) as connection:
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        read(connection)
    # A request behind it is answered, so it is over.
    answer = ask(server.port, head("GET", "/healthz"))
    assert answer is not None
    assert answer.status == 200
    assert len(server.services.taken) == before


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 1", "Content-Length: 2"),
        ("Content-Length: 1", "Transfer-Encoding: chunked"),
        ("Content-Length: -1",),
        ("Content-Length: 1x",),
        ("Content-Length: 99999999999999999999999",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding : chunked",),
    ],
)
def test_lengths_that_contradict_each_other_are_refused(
    server: Served, headers: tuple[str, ...]
) -> None:
    refused(server, head("PUT", "/v1/objects/t_demo/dev/a", *headers) + b"x", "INVALID_REQUEST")


def test_a_broken_chunk_stores_nothing(server: Served) -> None:
    before = len(server.services.taken)
    request = head("PUT", "/v1/objects/t_demo/dev/a", "Transfer-Encoding: chunked")
    answer = ask(server.port, request + b"zz\r\nhello\r\n0\r\n\r\n")
    assert answer is None or answer.status == 400
    assert len(server.services.taken) == before


def test_trailers_are_no_headers(server: Served) -> None:
    request = head("PUT", "/v1/objects/t_demo/dev/a", "Transfer-Encoding: chunked")
    answer = ask(server.port, request + b"1\r\nx\r\n0\r\nX-Mode: t_system\r\n\r\n")
    assert answer is not None
    assert answer.status == 200
    assert server.services.taken[-1].mode == "lab"


@pytest.mark.parametrize("offer", ["h2c", "websocket", "h2c, websocket"])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("chunked", [True, False])
def test_an_offer_of_another_protocol_is_ignored_and_no_body_with_it(
    server: Served, offer: str, parts: int, chunked: bool
) -> None:
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 5"
    body = b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" if chunked else b"hello"
    its = ("Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAEAAEAA", f"Upgrade: {offer}")
    request = head("PUT", "/v1/objects/t_demo/dev/a", *its, length) + body
    before = len(server.services.taken)
    with connect(server.port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = request + head("GET", "/healthz", *its) + head("GET", "/nothing")
        size = -(-len(sent) // parts)
        for begin in range(0, len(sent), size):
            connection.sendall(sent[begin : begin + size])
        answers = [read(connection) for _ in range(3)]
    assert [answer.status for answer in answers if answer] == [200, 200, 404]
    [command] = server.services.taken[before:]
    assert isinstance(command, PutObject)
    assert isinstance(command.payload, InlinePayload)
    assert command.payload.data == b"hello"


@pytest.mark.parametrize("extra", [(), ("Connection: Upgrade", "Upgrade: h2c")])
def test_a_tunnel_is_refused(server: Served, extra: tuple[str, ...]) -> None:
    refused(server, head("CONNECT", "localhost:80", *extra), "INVALID_REQUEST")


@pytest.mark.parametrize("coding", ["gzip, chunked", "chunked, chunked", "Chunked , x"])
def test_a_body_in_a_coding_that_nobody_undoes_is_refused(server: Served, coding: str) -> None:
    request = head("PUT", "/v1/objects/t_demo/dev/a", f"Transfer-Encoding: {coding}")
    refused(server, request + b"1\r\nx\r\n0\r\n\r\n", "INVALID_REQUEST")


def test_http_1_0_has_no_chunks(server: Served) -> None:
    request = head("PUT", "/v1/objects/t_demo/dev/a", "Transfer-Encoding: chunked")
    request = request.replace(b"HTTP/1.1", b"HTTP/1.0")
    refused(server, request + b"1\r\nx\r\n0\r\n\r\n", "INVALID_REQUEST")


def test_heads_over_their_limits_are_refused(server: Served) -> None:
    path = "/v1/objects/t_demo/dev/a"
    refused(server, head("GET", path, "X-A: " + "x" * 5000), "HEADERS_TOO_LARGE", 431)
    refused(server, head("GET", path + "?" + "x" * 5000), "HEADERS_TOO_LARGE", 431)
    refused(server, head("GET", path, *(f"X-{n}: 1" for n in range(31))), "HEADERS_TOO_LARGE", 431)
    refused(server, b"GET " + path.encode() + b"x" * 8192, "HEADERS_TOO_LARGE", 431)


def test_two_requests_sent_at_once_are_answered_in_order(server: Served) -> None:
    with connect(server.port) as connection:
        connection.sendall(put("/v1/objects/t_demo/dev/one") + head("GET", "/nothing"))
        first = read(connection)
        assert first is not None
        assert first.status == 200
        second = read(connection)
        assert second is not None
        assert second.status == 404


def test_what_a_backend_says_cannot_forge_a_header(server: Served) -> None:
    from signalbox.gateway.url_text import header_safe

    assert header_safe("a\r\nX-Evil: 1") == "a??X-Evil: 1"


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (head("GET", "/v1/dead-letters?tennant=t_a"), "INVALID_REQUEST", "tenant"),
        (head("GET", "/v1/objects/t_a/dev?limit=1&prefx=a"), "INVALID_REQUEST", "prefix"),
        (head("GET", "/v1/schemas?a=1"), "INVALID_REQUEST", "takes none"),
        (head("GET", "/nexus/raw/put"), "METHOD_NOT_ALLOWED", "POST"),
        (json_body(b'{"commands":\n x}'), "INVALID_COMMAND", "send JSON"),
        (json_body(b"[" * 100 + b"]" * 100), "INVALID_COMMAND", "send JSON"),
    ],
)
def test_the_next_step_is_for_who_asks_by_http(
    server: Served, request_: bytes, code: str, words: str
) -> None:
    status = 405 if code == "METHOD_NOT_ALLOWED" else 400
    assert words in refused(server, request_, code, status).json()["next_step"]


def test_who_lists_with_a_slash_too_many_is_told(server: Served) -> None:
    for path in ("/v1/objects/t_demo/dev/", "/v1/objects/t_demo/dev/?limit=1"):
        step = refused(server, head("GET", path), "INVALID_KEY").json()["next_step"]
        assert "without its last /" in step


@pytest.mark.parametrize("window", ['"5m"', "300", "null5", '"PT5X"'])
def test_a_duration_is_written_as_iso_has_it(server: Served, window: str) -> None:
    ends = '"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"'
    body = f'{{{ends}, "aggregation": "avg", "window": {window}}}'.encode()
    path = "/v1/point-queries/t_demo/dev/cpu"
    code = "INVALID_COMMAND" if window == "null5" else "INVALID_REQUEST"
    detail = refused(server, json_body(body, path), code).json()["detail"]
    if window != "null5":
        assert "PT5M" in detail
    good = body.replace(window.encode(), b'"PT5M"')
    answer = ask(server.port, json_body(good, path))
    assert answer is not None
    assert answer.status == 200


def test_what_is_wrong_is_named_by_its_place(server: Served) -> None:
    answer = refused(server, json_body(b'{"commands":\n x}'), "INVALID_COMMAND")
    assert "line 2, column 2" in answer.json()["detail"]
    answer = refused(server, json_body(b"[]"), "INVALID_REQUEST")
    assert answer.json()["detail"].startswith("body: ")
