"""Ranges and conditions of an object's content, and what a write answers (RFC 9110)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from signalbox.commands.error import AlreadyExists, RateLimited, Unavailable
from signalbox.commands.model import Command
from tests.gateway.raw import Answer, ask, connect, head, read
from tests.gateway.recorder import Content, Served, served

PATH = "/v1/objects/t_demo/dev/k"


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture
def server(shared: Served) -> Served:
    shared.services.error, shared.services.pending, shared.services.data = (
        None,
        False,
        b"0123456789",
    )
    return shared


def call(server: Served, method: str, *headers: str, path: str = PATH, body: bytes = b"") -> Answer:
    length = [f"Content-Length: {len(body)}"] if body or method in ("PUT", "POST") else []
    answer = ask(server.port, head(method, path, *length, *headers) + body)
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("header", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=4-99", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=9-9", 206, b"9", "bytes 9-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=3-1", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("nonsense", 200, b"0123456789", None),
        ("bytes=" + "9" * 30 + "-", 200, b"0123456789", None),
    ],
)
def test_ranges(
    server: Served, header: str, status: int, body: bytes | None, content_range: str | None
) -> None:
    answer = call(server, "GET", f"Range: {header}")
    assert answer.status == status
    assert answer.headers.get("content-range") == content_range
    if body is not None:
        assert answer.body == body
        assert answer.headers["content-length"] == str(len(body))
    else:
        assert answer.json()["error_code"] == "RANGE_NOT_SATISFIABLE"


def test_no_range_of_an_empty_object_can_be_had(server: Served) -> None:
    server.services.data = b""
    assert call(server, "GET", "Range: bytes=-1").status == 416
    assert call(server, "GET", "Range: bytes=0-").status == 416
    assert call(server, "GET").body == b""


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (['If-None-Match: "e1"'], 304),
        (['If-None-Match: W/"e1"'], 304),
        (['If-None-Match: "e0", "e1"'], 304),
        (["If-None-Match: *"], 304),
        (['If-None-Match: "e2"'], 200),
        (['If-Match: "e1"'], 200),
        (["If-Match: *"], 200),
        (['If-Match: "e2"'], 412),
        (['If-Match: W/"e1"'], 412),
        (["If-Modified-Since: Sat, 31 Jan 2026 00:00:00 GMT"], 304),
        (["If-Modified-Since: Fri, 30 Jan 2026 23:59:59 GMT"], 200),
        (["If-Modified-Since: Sat, 31 Jan 2026 00:00:00 GMT", 'If-None-Match: "e2"'], 200),
        (["If-Unmodified-Since: Sat, 31 Jan 2026 00:00:00 GMT"], 200),
        (["If-Unmodified-Since: Fri, 30 Jan 2026 23:59:59 GMT", "Range: bytes=0-1"], 412),
        (["If-Unmodified-Since: Fri, 30 Jan 2026 23:59:59 GMT", 'If-Match: "e1"'], 200),
        (["If-Unmodified-Since: tomorrow", "If-Modified-Since: Sat, 31 Jan 99999 00:00:00"], 200),
        (["Range: bytes=0-1", 'If-Range: "e1"'], 206),
        (["Range: bytes=0-1", 'If-Range: "e2"'], 200),
        (["Range: bytes=0-1", "If-Range: Sat, 31 Jan 2026 00:00:00 GMT"], 200),
    ],
)
def test_conditions_of_a_read(server: Served, headers: list[str], status: int) -> None:
    answer = call(server, "GET", *headers)
    assert answer.status == status
    if status == 304:
        assert answer.body == b""
        assert answer.headers["etag"] == '"e1"'


def test_head_says_what_get_would(server: Served) -> None:
    got, said = call(server, "GET"), ask(server.port, head("HEAD", PATH, "Connection: close"))
    assert said is not None
    assert said.body == b""
    for name in ("etag", "content-length", "content-type", "last-modified", "accept-ranges"):
        assert said.headers[name] == got.headers[name]


def test_a_write_says_where_it_went(server: Served) -> None:
    answer = call(server, "PUT", "Idempotency-Key: put-1", body=b"x")
    assert answer.status == 200
    assert answer.headers["x-op-id"] == answer.json()["op_id"] == "put-1"
    assert answer.headers["etag"] == '"e1"'
    assert answer.headers["x-backend-type"] == "filesystem"


@pytest.mark.parametrize(
    "header", ["Prefer: respond-async", "Prefer: wait=0", "Prefer: a, wait=0; b=1"]
)
def test_a_write_that_is_not_waited_for_is_202(server: Served, header: str) -> None:
    answer = call(server, "PUT", "Idempotency-Key: put-2", header, body=b"x")
    assert answer.status == 202
    assert answer.headers["location"] == "/v1/outcomes/t_demo/dev/put-2"
    assert answer.headers["retry-after"] == "1"


def test_a_wait_that_took_too_long_is_202(server: Served) -> None:
    server.services.pending = True
    answer = call(server, "POST", "X-Tenant-Id: t_demo", "X-Key: k", path="/nexus/raw/put")
    assert answer.status == 202
    assert answer.headers["location"].startswith("/v1/outcomes/t_demo/dev/")


def test_put_answers_the_address_and_nothing_else(server: Served) -> None:
    answer = call(server, "POST", "X-Tenant-Id: t_demo", "X-Key: k", path="/nexus/raw/put")
    assert answer.json() == {"uri": "s3://b/k"}
    assert answer.headers["x-op-id"]


def test_what_curl_calls_a_form_is_stored_as_bytes(server: Served) -> None:
    form = "Content-Type: application/x-www-form-urlencoded"
    for method, path in (("PUT", PATH), ("POST", "/nexus/raw/put")):
        call(server, method, form, "X-Tenant-Id: t_demo", "X-Key: k", path=path, body=b"a=b&c")
        command = server.services.taken[-1]
        assert command.payload.data == b"a=b&c"  # type: ignore[attr-defined]
        assert command.content_type == "application/octet-stream"  # type: ignore[attr-defined]


def test_a_condition_that_does_not_hold_is_412(server: Served) -> None:
    server.services.error = AlreadyExists("it is there")
    answer = call(server, "PUT", "If-None-Match: *", body=b"x")
    assert answer.status == answer.json()["status"] == 412
    assert answer.json()["error_code"] == "ALREADY_EXISTS"


def test_retry_after_is_told_where_an_error_has_one(server: Served) -> None:
    error = RateLimited("too many")
    error.retry_after = 2.5
    server.services.error = error
    answer = call(server, "PUT", "Idempotency-Key: put-3", body=b"x")
    assert answer.status == 429
    assert answer.headers["retry-after"] == "3"
    assert answer.json()["op_id"] == "put-3"


def test_metadata_travels_in_headers(server: Served) -> None:
    call(server, "PUT", "X-Meta-Author: Ann", "Content-Type: text/plain", body=b"x")
    assert server.services.taken[-1].metadata == {"author": "Ann"}  # type: ignore[attr-defined]


def test_an_error_of_a_backend_is_told_with_its_place(server: Served) -> None:
    server.services.error = Unavailable(
        "no answer", kind="object_store", tenant_id="t_demo", env="dev", backend_type="s3"
    )
    document = call(server, "GET").json()
    assert document["resource_kind"] == "object_store"
    assert (document["tenant_id"], document["env"]) == ("t_demo", "dev")
    assert document["backend_type"] == "s3"
    assert document["temporary"] is True


@pytest.mark.parametrize("path", ["objects/t_demo/dev/k", "rows/t_demo/dev/people/ann"])
def test_what_nobody_foresaw_is_told_and_logged_without_a_word_of_the_body(
    server: Served,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def fail(command: Command, wait: timedelta) -> None:
        raise RuntimeError(f"it quotes {command!r}")

    monkeypatch.setattr(server.services, "run", fail)
    body = b'{"a": "a secret of the tenant"}'
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    with connect(server.port) as connection:
        connection.sendall(head("PUT", f"/v1/{path}", *headers) + body)
        answer = read(connection)
        assert answer is not None
        # The connection is as good as before.
        connection.sendall(head("GET", "/healthz"))
        assert read(connection) is not None
    assert answer.status == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error_code"] == "INTERNAL_ERROR"
    said = capfd.readouterr()
    assert "RuntimeError" in said.out + said.err
    assert "secret" not in said.out + said.err
    assert b"secret" not in answer.body


def test_an_answer_that_breaks_off_is_seen_not_to_be_whole_and_logged_once(
    server: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def parts(_: Content) -> AsyncIterator[bytes]:
        yield b"half"
        raise Unavailable("the backend broke off")

    server.services.data = b"x" * 1024 * 1024
    monkeypatch.setattr(Content, "__aiter__", parts)
    answer = call(server, "GET")
    assert answer.status == 200
    assert len(answer.body) < int(answer.headers["content-length"])
    monkeypatch.undo()
    assert call(server, "GET").status == 200
    # The gate's own line is not of this logger.
    assert not [each for each in caplog.records if each.exc_info]
