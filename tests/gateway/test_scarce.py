"""A gateway where something is scarce: one core for all processes, memory beside slow clients."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from signalbox.commands.scope import ResourceKind
from tests.gateway.conftest import Gateway
from tests.gateway.raw import head
from tests.integration.conftest import start_stack, wait_until

MIB = 1024**2
CLIENTS = 300
LARGE = os.urandom(700_000)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A stack whose processes share one core, where the system can say so."""
    data: Path = tmp_path_factory.mktemp("scarce")
    cores = os.sched_getaffinity(0) if sys.platform == "linux" else set()
    with ExitStack() as stack:
        if cores:
            os.sched_setaffinity(0, {min(cores)})
            stack.callback(os.sched_setaffinity, 0, cores)
        running = stack.enter_context(start_stack(data, workers=2, SIGNALBOX_GATEWAY_PORT="0"))
        base = running.stack.start_gateway()
        if cores:
            os.sched_setaffinity(0, cores)
        http = stack.enter_context(httpx.Client(base_url=base, timeout=300))
        yield Gateway(base, running, http)


def test_many_clients_are_served_where_all_share_one_core(own: Gateway) -> None:
    tenant = own.routes("t_core", ResourceKind.OBJECT_STORE, ResourceKind.EVENT_STREAM)
    stream = f"/v1/streams/{tenant}/dev/s"

    def ask(number: int) -> list[int]:
        path, event = f"/v1/objects/{tenant}/dev/k{number}", {"type": "t", "data": {"n": number}}
        size = 200_000 if number % 8 == 0 else 100
        with httpx.Client(base_url=own.base, timeout=300) as http:
            put, append = http.put(path, content=bytes(size)), http.post(stream, json=event)
            got = http.get(path)
            assert len(got.content) == size
            return [put.status_code, append.status_code, got.status_code]

    with ThreadPoolExecutor(32) as threads:
        for statuses in threads.map(ask, range(128)):
            assert statuses == [200] * 3
    events = own.http.get(stream, params={"limit": 1000}).json()["events"]
    assert sorted(event["data"]["n"] for event in events) == list(range(128))


def _sends_half_a_body(tenant: str, number: int) -> bytes:
    path = f"/v1/objects/{tenant}/dev/k{number}"
    return head("PUT", path, f"Content-Length: {2 * len(LARGE)}") + LARGE[:300_000]


def _reads_nothing(tenant: str, number: int) -> bytes:
    return head("GET", f"/v1/objects/{tenant}/dev/large")


@pytest.mark.parametrize(("request_of", "most"), [(_sends_half_a_body, 150), (_reads_nothing, 200)])
def test_slow_clients_take_bounded_memory_however_often_they_come(
    own: Gateway, request_of: Callable[[str, int], bytes], most: int
) -> None:
    tenant = own.routes("t_slow", ResourceKind.OBJECT_STORE)
    process = own.running.stack.gateway
    assert process is not None
    gateway = psutil.Process(process.pid)
    port = urlsplit(own.base).port or 0
    large = f"/v1/objects/{tenant}/dev/large"
    assert own.http.put(large, content=LARGE * 4).status_code == 200
    assert own.http.get(large).status_code == 200
    files, idle = gateway.num_fds(), gateway.memory_info().rss
    taken = []
    for _ in range(3):
        with ExitStack() as clients:
            for number in range(CLIENTS):
                connection = clients.enter_context(socket.socket())
                # Little is taken by the system in its place.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.settimeout(300)
                connection.connect(("127.0.0.1", port))
                connection.sendall(request_of(tenant, number))
            assert own.http.get(large).status_code == 200
            taken.append((gateway.memory_info().rss - idle) / MIB)
        wait_until(lambda: gateway.num_fds() <= files + 20, "their connections are closed")
    assert max(taken) < most, taken
    assert taken[2] - taken[1] < 40, taken
