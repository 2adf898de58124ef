"""Attacks on connections and framing: idle crowds, early refusals, odd targets, empty promises."""

from __future__ import annotations

import asyncio
import json
import resource
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from signalbox.gateway import closing_protocol
from signalbox.gateway.body_memory import SMALL_BYTES
from tests.gateway.raw import Answer, ask, connect, head, read
from tests.gateway.recorder import Served, served
from tests.integration.conftest import wait_until

OBJECT = "/v1/objects/t_demo/dev/a"
PUT_ONE = head("PUT", OBJECT, "Content-Length: 1") + b"x"


def code_of(answer: Answer | None) -> tuple[int, str]:
    assert answer is not None
    return answer.status, answer.json().get("error_code", "")


def open_ones(server: Served) -> int:
    return len(server.server.server_state.connections)


def test_an_idle_crowd_makes_room_for_who_asks() -> None:
    with served(connections=50) as server, ExitStack() as crowd:
        busy = crowd.enter_context(connect(server.port))
        server.services.held.clear()
        busy.sendall(PUT_ONE)
        wait_until(lambda: bool(server.services.taken), "one is being answered")
        for _ in range(120):
            crowd.enter_context(connect(server.port))
            answer = ask(server.port, head("GET", "/healthz"))
            assert answer is not None
            assert answer.status == 200
        wait_until(lambda: open_ones(server) <= 50, "those that made room are gone")
        server.server.servers[0].get_loop().call_soon_threadsafe(server.services.held.set)
        first = read(busy)
        assert first is not None
        assert first.status == 200


def test_a_crowd_of_heads_that_never_end_makes_room_too() -> None:
    with served(connections=20) as server, ExitStack() as crowd:
        for _ in range(60):
            dripping = crowd.enter_context(connect(server.port))
            dripping.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
        answer = ask(server.port, head("GET", "/healthz"))
        assert answer is not None
        assert answer.status == 200


def test_requests_whose_clients_are_gone_are_bounded() -> None:
    with served(connections=4) as server:
        server.services.held.clear()
        statuses: list[int] = []
        for _ in range(40):
            connection = connect(server.port)
            taken = len(server.services.taken)
            connection.sendall(PUT_ONE)
            # Gone as soon as it was taken, or told that it is not.
            wait_until(
                lambda taken=taken: (  # type: ignore[misc]
                    len(server.services.taken) > taken or len(server.server.server_state.tasks) >= 8
                ),
                "it is taken or refused",
            )
            if len(server.server.server_state.tasks) >= 8:
                answer = ask(server.port, PUT_ONE)
                statuses.append(answer.status if answer else 0)
            connection.close()
        assert len(server.server.server_state.tasks) <= 9
        assert set(statuses) == {503}
        server.server.servers[0].get_loop().call_soon_threadsafe(server.services.held.set)
        wait_until(lambda: not server.server.server_state.tasks, "all ended")


def test_a_read_ends_with_its_client() -> None:
    with served() as server:
        ended = threading.Event()
        begun = threading.Event()

        async def forever(*_: object) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        server.services.stream = forever  # type: ignore[method-assign, assignment]
        with connect(server.port) as connection:
            connection.sendall(head("GET", OBJECT))
            assert begun.wait(300)
        assert ended.wait(300)
        wait_until(lambda: not server.server.server_state.tasks, "nothing is left")


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/v1/objects/t_demo/dev/%2e%2e", (), "INVALID_KEY"),
        (OBJECT, ("Content-Length: 9999999999",), "TOO_LARGE"),
        (OBJECT, ("Host: evil.example",), "INVALID_REQUEST"),
        (OBJECT, ("Origin: http://evil.example",), "FOREIGN_ORIGIN"),
    ],
)
def test_who_waits_to_be_told_to_go_on_is_refused_once_and_nothing_behind_is_read(
    path: str, headers: tuple[str, ...], code: str
) -> None:
    own = (
        headers
        if any("Length" in each for each in headers)
        else ("Content-Length: 100000", *headers)
    )
    with served() as server, connect(server.port) as connection:
        connection.sendall(head("PUT", path, "Expect: 100-continue", *own))
        answer = read(connection)
        assert code_of(answer)[1] == code
        assert answer is not None
        assert answer.headers["connection"] == "close"
        # What would be the body, or be taken for the next request, meets a closed connection.
        try:
            connection.sendall(PUT_ONE)
            assert connection.recv(1) == b""
        except OSError:
            pass
        assert server.services.untouched


def test_who_is_told_to_go_on_is_answered() -> None:
    with served() as server, connect(server.port) as connection:
        connection.sendall(head("PUT", OBJECT, "Expect: 100-continue", "Content-Length: 5"))
        told = read(connection)
        assert told is not None
        assert told.status == 100
        connection.sendall(b"hello")
        answer = read(connection)
        assert answer is not None
        assert answer.status == 200


@pytest.mark.parametrize("piece", [1, 60_000])
def test_extensions_of_chunks_are_not_read_for_ever(piece: int) -> None:
    request = head("PUT", OBJECT, "Transfer-Encoding: chunked")
    with served() as server, connect(server.port) as connection:
        connection.sendall(request + b"1;a=")
        answer: Answer | None = None
        try:
            for _ in range(4 * 1024 * 1024 // piece if piece > 1 else 2000):
                connection.sendall(b"x" * piece if piece > 1 else b"y\r\nx\r\n1;" + b"z" * 100)
        except OSError:
            pass
        try:
            answer = read(connection)
        except OSError:
            answer = None
        assert answer is None or code_of(answer) == (400, "INVALID_REQUEST")
        assert server.services.untouched


def test_small_chunks_without_extensions_are_taken() -> None:
    body = b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
    with served() as server:
        answer = ask(server.port, head("PUT", OBJECT, "Transfer-Encoding: chunked") + body)
        assert answer is not None
        assert answer.status == 200
        [command] = server.services.taken
        assert command.size == 50_000


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost/healthz", 200),
        ("http://127.0.0.1:80/healthz?x=1", 200),
        ("HTTP://LOCALHOST/healthz", 200),
        ("http://evil.example/healthz", 421),
        ("http://evil.example/v1/objects/t_demo/dev/a", 421),
        ("http://localhost@evil.example/healthz", 400),
        ("ftp://localhost/healthz", 400),
    ],
)
def test_a_whole_address_counts_in_place_of_the_host(target: str, status: int) -> None:
    with served() as server:
        answer = ask(server.port, head("GET", target))
        assert answer is not None
        assert answer.status == status
        assert not server.services.read_


def test_a_second_request_has_its_time_behind_the_answer_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closing_protocol, "LINGER_SECONDS", 0.1)
    second = head("PUT", OBJECT, "Content-Length: 10")
    with served() as server, connect(server.port) as connection:
        server.services.held.clear()
        connection.sendall(PUT_ONE + second + b"01234")
        wait_until(lambda: bool(server.services.taken), "the first is being answered")
        loop = server.server.servers[0].get_loop()
        loop.call_soon_threadsafe(server.services.held.set)
        assert code_of(read(connection))[0] == 200
        # Longer than a refused body is read on.
        threading.Event().wait(0.5)
        connection.sendall(b"56789")
        assert code_of(read(connection))[0] == 200
        assert [command.size for command in server.services.taken] == [1, 10]


@pytest.mark.parametrize("extra", ["Connection: close", "Connection: keep-alive"])
@pytest.mark.parametrize("path", ["/v1/objects/t_demo/dev/%2e%2e", "/nothing"])
def test_a_refusal_reaches_a_client_that_is_still_sending(extra: str, path: str) -> None:
    body = b"x" * 4 * 1024 * 1024
    with served() as server, connect(server.port) as connection:
        answered = server.server.server_state.total_requests
        connection.sendall(head("PUT", path, f"Content-Length: {len(body)}", extra))
        wait_until(
            lambda: server.server.server_state.total_requests > answered, "it has its response"
        )
        connection.sendall(body)
        answer = read(connection)
        assert answer is not None
        assert answer.status in (400, 404)
        assert server.services.untouched


BROKEN = head("PUT", "/v1/objects/t_demo/dev/b", "Transfer-Encoding: chunked") + b"zz\r\n"


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (b"more than was declared", (400, "INVALID_REQUEST")),
        (BROKEN, (400, "INVALID_REQUEST")),
        (b"GET /" + b"x" * 600_000, (431, "HEADERS_TOO_LARGE")),
    ],
    ids=["more", "chunk", "head"],
)
@pytest.mark.parametrize("together", [True, False], ids=["together", "later"])
def test_what_follows_a_request_is_refused_after_its_response(
    second: bytes, code: tuple[int, str], together: bool
) -> None:
    with served() as server, connect(server.port) as connection:
        server.services.held.clear()
        connection.sendall(PUT_ONE + second if together else PUT_ONE)
        wait_until(lambda: bool(server.services.taken), "the first is being answered")
        if not together:
            connection.sendall(second)
        [protocol_] = server.server.server_state.connections
        assert isinstance(protocol_, closing_protocol.ClosingProtocol)
        wait_until(lambda: protocol_._last is not None, "the second is refused")
        connection.sendall(PUT_ONE)  # ignored
        loop = server.server.servers[0].get_loop()
        loop.call_soon_threadsafe(server.services.held.set)
        assert code_of(read(connection)) == (200, "")
        assert code_of(read(connection)) == code
        assert read(connection) is None
        assert len(server.services.taken) == 1


def test_a_client_that_breaks_off_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served() as server:
        for _ in range(20):
            # Their handlers have begun when the rest turns out to be broken.
            assert code_of(ask(server.port, BROKEN)) == (400, "INVALID_REQUEST")
        server.services.held.clear()
        with connect(server.port) as connection:
            connection.sendall(PUT_ONE * 3)
            wait_until(lambda: bool(server.services.taken), "the first is being answered")
        wait_until(lambda: open_ones(server) == 0, "it is gone")
        server.server.servers[0].get_loop().call_soon_threadsafe(server.services.held.set)
        wait_until(lambda: not server.server.server_state.tasks, "nothing is left")
        assert len(server.services.taken) == 1
    assert not [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]


def test_json_is_bounded_over_all_requests_and_small_ones_pass() -> None:
    limit = 4 * SMALL_BYTES
    large = json.dumps({"commands": [{"pad": "x" * (3 * SMALL_BYTES)}]}).encode()
    kind = "Content-Type: application/json"

    def post(body: bytes) -> bytes:
        return head("POST", "/v1/commands", kind, f"Content-Length: {len(body)}") + body

    with served(json_limit_bytes=limit, json_total_bytes=limit) as server:
        with connect(server.port) as holding:
            holding.sendall(post(large)[: -SMALL_BYTES // 2])
            wait_until(lambda: server.app.state.bodies.held > 2 * SMALL_BYTES, "it is held")
            refused = ask(server.port, post(large))
            assert code_of(refused) == (503, "NO_ROOM")
            assert refused is not None
            assert refused.headers["retry-after"] == "1"
            answer = ask(server.port, post(b'{"commands": [{}]}'))
            assert answer is not None
            assert answer.status == 200
        wait_until(lambda: server.app.state.bodies.held == 0, "it is given back")
        answer = ask(server.port, post(large))
        assert answer is not None
        assert answer.status == 200
        assert server.app.state.bodies.held == 0


def test_two_thousand_idle_connections_hold_nobody_up(many_files: None) -> None:
    with served(connections=512, idle_seconds=timedelta(minutes=5)) as server, ExitStack() as crowd:
        answered = 0
        for number in range(2000):
            crowd.enter_context(connect(server.port))
            if number % 50 == 0:
                answer = ask(server.port, head("GET", "/healthz"))
                answered += answer is not None and answer.status == 200
        assert answered == 40
        wait_until(lambda: open_ones(server) <= 512, "no more are open than may be")


@pytest.fixture
def many_files() -> Iterator[None]:
    """Files for both ends of them all, which are in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 6000:
        pytest.skip("needs 6,000 open files: raise the hard limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(6000, before[0]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
