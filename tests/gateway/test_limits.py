"""Slow clients, too many of them, and a stop: nobody holds others, what was begun is answered."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from signalbox.commands.error import InvalidSetting, StateUnavailable
from signalbox.gateway.protocol import SLOWEST_BYTES
from signalbox.gateway.services import Services
from signalbox.gateway.settings import GatewaySettings
from tests.gateway.raw import ask, connect, head, read
from tests.gateway.recorder import Served, served
from tests.integration.conftest import wait_until

EVERYWHERE = "0.0.0.0"  # noqa: S104 - refused
LIMIT = timedelta(minutes=5)
"""Over only when a test lets it pass."""


def is_answered(port: int) -> bool:
    answer = ask(port, head("GET", "/healthz"))
    return answer is not None and answer.status == 200


def connections(server: Served) -> list[Any]:
    """Its side of them."""
    return list(server.server.server_state.connections)


def await_all(server: Served, what: str, count: int = 1) -> None:
    """Until this is set at so many connections, of which one may have been made just now."""
    wait_until(
        lambda: sum(bool(getattr(each, what, None)) for each in connections(server)) == count,
        f"{count} have {what}",
    )


def test_a_head_that_drips_is_cut_off_and_holds_nobody_up() -> None:
    with served(loop="asyncio", header_seconds=LIMIT) as server:
        slow = [connect(server.port) for _ in range(20)]
        for connection in slow:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
        assert is_answered(server.port)
        await_all(server, "_head_bytes", len(slow))
        server.let_pass(LIMIT)
        for connection in slow:
            answer = read(connection)
            assert answer is not None
            assert answer.status == 408
            assert answer.json()["error_code"] == "REQUEST_TIMEOUT"
            assert connection.recv(1) == b""
            connection.close()


def test_a_connection_that_says_nothing_is_closed() -> None:
    with (
        served(loop="asyncio", header_seconds=LIMIT) as server,
        connect(server.port) as connection,
    ):
        wait_until(lambda: bool(connections(server)), "it is open")
        server.let_pass(LIMIT)
        answer = read(connection)
        assert answer is None or answer.status == 408


def test_a_second_head_on_a_connection_has_its_time_too() -> None:
    with (
        served(loop="asyncio", header_seconds=LIMIT) as server,
        connect(server.port) as connection,
    ):
        connection.sendall(head("GET", "/healthz"))
        first = read(connection)
        assert first is not None
        assert first.status == 200
        connection.sendall(b"GET /healthz HT")
        await_all(server, "_head_bytes")
        server.let_pass(LIMIT)
        second = read(connection)
        assert second is not None
        assert second.status == 408


@pytest.mark.parametrize("path", ["/v1/objects/t_demo/dev/a", "/v1/commands"])
def test_a_body_that_drips_is_cut_off_and_nothing_is_taken(path: str) -> None:
    method = "POST" if path == "/v1/commands" else "PUT"
    request = head(method, path, "Content-Type: application/json", "Content-Length: 1000")
    with (
        served(loop="asyncio", body_seconds=LIMIT) as server,
        connect(server.port) as connection,
    ):
        connection.sendall(request + b"{")
        await_all(server, "_body_bytes")
        assert is_answered(server.port)
        server.let_pass(LIMIT)
        answer = read(connection)
        assert answer is not None
        assert answer.status == 408
        assert answer.json()["error_code"] == "REQUEST_TIMEOUT"
        assert server.services.untouched


def test_a_reader_that_takes_nothing_is_cut_off() -> None:
    with (
        served(loop="asyncio", body_seconds=LIMIT) as server,
        connect(server.port) as connection,
    ):
        server.services.data = b"x" * 64 * 1024 * 1024
        connection.sendall(head("GET", "/v1/objects/t_demo/dev/a"))
        await_all(server, "_stalled")
        server.let_pass(LIMIT)
        wait_until(lambda: not connections(server), "it is cut off")


def test_connections_over_their_number_are_told_so_while_all_have_a_request() -> None:
    request = head("PUT", "/v1/objects/t_demo/dev/a", "Content-Length: 1") + b"x"
    with served(connections=3) as server:
        server.services.held.clear()
        held = [connect(server.port) for _ in range(3)]
        for connection in held:
            connection.sendall(request)
        wait_until(lambda: len(server.services.taken) == 3, "three are being answered")
        answer = ask(server.port, head("GET", "/healthz"))
        assert answer is None or answer.status == 503
        if answer is not None:
            assert answer.json()["error_code"] == "TOO_MANY_CONNECTIONS"
            assert answer.headers["retry-after"] == "1"
        server.server.servers[0].get_loop().call_soon_threadsafe(server.services.held.set)
        for connection in held:
            first = read(connection)
            assert first is not None
            assert first.status == 200
        # They are idle now, and the longest idle makes room.
        assert is_answered(server.port)
        for connection in held:
            connection.close()


def test_a_stop_answers_what_was_begun_and_takes_nothing_new() -> None:
    with served() as server, connect(server.port) as connection, connect(server.port) as idle:
        server.services.held.clear()
        idle.sendall(head("GET", "/healthz"))
        assert read(idle) is not None
        connection.sendall(head("PUT", "/v1/objects/t_demo/dev/a", "Content-Length: 1") + b"x")
        wait_until(lambda: bool(server.services.taken), "the command is taken")
        server.tell_to_stop()
        wait_until(lambda: not server.server.servers[0].is_serving(), "it listens no more")
        loop = server.server.servers[0].get_loop()
        loop.call_soon_threadsafe(server.services.held.set)
        answer = read(connection)
        assert answer is not None
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert idle.recv(1) == b""


def test_a_stop_that_cannot_wait_any_longer_is_told_as_an_error() -> None:
    with served(stop_seconds=timedelta(seconds=1)) as server, connect(server.port) as connection:
        connection.sendall(head("PUT", "/v1/objects/t_demo/dev/a", "Content-Length: 9") + b"x")
        wait_until(lambda: bool(server.server.server_state.tasks), "the request is begun")
        server.tell_to_stop()
        answer = read(connection)
        assert answer is not None
        assert answer.status == 503
        assert answer.json()["error_code"] == "NOT_READY"
        assert answer.headers["retry-after"] == "1"
        assert server.services.untouched


def test_a_stop_without_the_state_closes_everything() -> None:
    """Commands that were never accepted are no reason to leave the rest open."""
    closed: list[str] = []

    async def close_reads() -> None:
        closed.append("reads")

    async def close_commands() -> None:
        raise StateUnavailable("the state Redis does not answer", next_step="start it")

    services = object.__new__(Services)
    services._reads = SimpleNamespace(close=close_reads)  # type: ignore[assignment]
    services._commands = SimpleNamespace(close=close_commands)  # type: ignore[assignment]
    services._threads, services._slow = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    services.client = SimpleNamespace(close=lambda: closed.append("client"))  # type: ignore[assignment]
    asyncio.run(services.close())
    assert closed == ["reads", "client"]
    with pytest.raises(RuntimeError, match="shutdown"):
        services._slow.submit(print)


def test_the_time_of_a_body_grows_with_what_has_come() -> None:
    part = b"x" * SLOWEST_BYTES * 60  # a minute more
    length = f"Content-Length: {len(part) + 1}"
    with (
        served(loop="asyncio", body_seconds=LIMIT) as server,
        connect(server.port) as connection,
    ):
        connection.sendall(head("PUT", "/v1/objects/t_demo/dev/a", length) + part)
        wait_until(lambda: bool(connections(server)), "it is open")
        [its] = connections(server)
        wait_until(lambda: getattr(its, "_body_bytes", 0) == len(part), "a part has come")
        timer = its._timer
        server.let_pass(LIMIT + timedelta(seconds=30))
        wait_until(lambda: its._timer is not timer, "its first time is over")
        connection.sendall(b"y")
        answer = read(connection)
        assert answer is not None
        assert answer.status == 200


def test_an_address_of_the_network_must_be_meant() -> None:
    with pytest.raises(InvalidSetting, match="can be reached from the network"):
        GatewaySettings(host=EVERYWHERE)
    assert GatewaySettings(host=EVERYWHERE, exposed="anyone-on-the-network-may-use-it")
    assert GatewaySettings(host="::1")


def test_defaults_of_routes_name_no_place() -> None:
    with pytest.raises(ValueError, match="bucket of s3"):
        GatewaySettings(route_defaults={"s3": {"bucket": "b"}})
