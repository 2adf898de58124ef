"""Attacks on a gateway with all its parts: nobody is held up, memory stays bounded, and what was
promised is kept."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from signalbox.commands.model import new_op_id
from signalbox.commands.scope import ResourceKind
from signalbox.routing.policy.policy import Terms
from signalbox.routing.registry.change import Change
from tests.gateway.conftest import Gateway, error_of
from tests.gateway.raw import connect, head, read
from tests.integration.conftest import start_stack, wait_until

MIB = 1024**2
LARGE = os.urandom(700_000)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A stack whose workers and Redis may be killed."""
    data: Path = tmp_path_factory.mktemp("attacked")
    with start_stack(data, workers=2, kills_workers=True, SIGNALBOX_GATEWAY_PORT="0") as running:
        base = running.stack.start_gateway()
        with httpx.Client(base_url=base, timeout=300) as http:
            yield Gateway(base, running, http)


def staged(folder: Path) -> set[str]:
    return set(os.listdir(folder)) if folder.is_dir() else set()


def port_of(gateway: Gateway) -> int:
    return int(urlsplit(gateway.base).port or 0)


def taken(gateway: Gateway) -> float:
    """MiB of memory that the gateway has."""
    process = gateway.running.stack.gateway
    assert process is not None
    return psutil.Process(process.pid).memory_info().rss / MIB


def test_a_large_put_whose_redis_and_workers_die_before_its_submit_takes_effect_once(
    own: Gateway,
) -> None:
    tenant = own.routes("t_killed", ResourceKind.OBJECT_STORE)
    stack, folder = own.running.stack, own.running.settings.payload_dir
    assert folder is not None
    for number in range(3):
        path, key = f"/v1/objects/{tenant}/dev/k{number}", new_op_id()
        before = staged(folder)
        request = head("PUT", path, f"Content-Length: {len(LARGE)}", f"Idempotency-Key: {key}")
        with connect(port_of(own)) as connection:
            connection.sendall(request + LARGE[:-1])
            wait_until(
                lambda before=before: bool(staged(folder) - before),  # type: ignore[misc]
                "it is being staged",
            )
            for worker in stack.workers:
                worker.kill()
            stack.redis.kill()
            connection.sendall(LARGE[-1:])
            if number:  # else it is back within the buffer's timeout
                answer = read(connection)
                assert answer is not None
                assert answer.status == 503
                assert answer.json()["error_code"] == "STATE_UNAVAILABLE"
            stack.redis.start()
            stack.workers.clear()
            stack.start_worker()
            if not number:
                assert read(connection) is not None
        headers = {"Idempotency-Key": key}
        for _ in range(2):
            said = own.http.put(path, content=LARGE, headers=headers)
            assert said.status_code == 200, said.text
        got = own.http.get(path)
        assert got.content == LARGE
        changed = own.http.put(path, content=LARGE[1:], headers=headers)
        assert error_of(changed)["error_code"] == "OP_ID_REUSED"
    with own.running.client() as client:
        own.running.wait_until_idle(client)
    dead = own.http.get("/v1/dead-letters", params={"tenant": tenant}).json()
    assert not dead["dead_letters"]


def test_readers_that_take_nothing_hold_no_memory_and_no_thread(own: Gateway) -> None:
    tenant = own.routes("t_slow", ResourceKind.OBJECT_STORE)
    other = own.routes("t_quick", ResourceKind.OBJECT_STORE)
    path = f"/v1/objects/{tenant}/dev/large"
    assert own.http.put(path, content=LARGE * 20).status_code == 200
    idle = taken(own)
    with ExitStack() as readers:
        slow: list[socket.socket] = []
        for _ in range(150):
            connection = readers.enter_context(socket.socket())
            # Little is taken by the system in its place.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(300)
            connection.connect(("127.0.0.1", port_of(own)))
            connection.sendall(head("GET", path))
            slow.append(connection)
        # A tenant has half of the open contents; the rest of its readers wait for those.
        for connection in slow[:100]:
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert taken(own) - idle < 150
        for number in range(20):
            stored = own.http.put(f"/v1/objects/{other}/dev/k{number}", content=b"x")
            assert stored.status_code == 200
            assert own.http.get(f"/v1/objects/{other}/dev/k{number}").content == b"x"


def test_hundreds_of_tails_are_told_and_hold_nobody_up(own: Gateway) -> None:
    tenant = own.routes("t_tails", ResourceKind.EVENT_STREAM, ResourceKind.OBJECT_STORE)
    stream = f"/v1/streams/{tenant}/dev/orders"
    idle = taken(own)
    with ExitStack() as tails:
        connections = []
        for _ in range(300):
            connection = tails.enter_context(connect(port_of(own)))
            connection.sendall(head("GET", f"{stream}/tail"))
            connections.append(connection)
        for connection in connections:
            assert connection.recv(12) == b"HTTP/1.1 200"
        appended = own.http.post(stream, json={"type": "order.placed", "data": {"n": 1}})
        assert appended.status_code == 200
        assert own.http.put(f"/v1/objects/{tenant}/dev/k", content=b"x").status_code == 200
        for connection in connections:
            heard = b""
            while b"order.placed" not in heard:
                part = connection.recv(65536)
                assert part
                heard += part
        assert taken(own) - idle < 100
    wait_until(lambda: own.http.get("/healthz").status_code == 200, "it goes on")


def test_five_hundred_large_commands_in_one_call_are_bounded_in_sum(own: Gateway) -> None:
    tenant = own.routes("t_many", ResourceKind.OBJECT_STORE)
    data = base64.b64encode(os.urandom(11_000)).decode()
    idle = taken(own)

    def post(turn: int) -> int:
        commands = [
            {
                "op": "object_store.put", "tenant_id": tenant, "env": "dev",
                "key": f"k{turn}-{number}", "payload": {"type": "inline", "data": data},
            }
            for number in range(500)
        ]  # fmt: skip
        said = httpx.post(
            f"{own.base}/v1/commands", json={"commands": commands}, timeout=300,
            headers={"Prefer": "wait=300"},
        )  # fmt: skip
        if said.status_code == 503:
            assert said.json()["error_code"] == "NO_ROOM"
            return 0
        assert said.status_code == 200, said.text
        assert {each["state"] for each in said.json()["results"]} <= {"done", "open"}
        return 1

    with ThreadPoolExecutor(4) as threads:
        done = sum(threads.map(post, range(4)))
    assert done
    assert taken(own) - idle < 250
    with own.running.client() as client:
        own.running.wait_until_idle(client)
    listed = own.http.get(f"/v1/objects/{tenant}/dev?limit=1000").json()
    assert len(listed["objects"]) == min(1000, 500 * done)


def test_a_read_behind_another_gateways_switch_is_on_the_new_route(own: Gateway) -> None:
    tenant = "t_switched"
    second = own.running.stack.start_gateway()
    with httpx.Client(base_url=second, timeout=300) as other:
        for folder in ("left", "right"):
            own.running.route_to_folder(tenant, folder)
            put = own.http.put(f"/v1/objects/{tenant}/dev/k", content=folder.encode())
            assert put.status_code == 200
        for number in range(40):
            folder = ("left", "right")[number % 2]
            asked, told = (own.http, other) if number % 3 else (other, own.http)
            switched = asked.post(
                "/routing/routes", headers={"X-Tenant-Id": tenant},
                json={
                    "resource_kind": "object_store", "backend_type": "filesystem",
                    "config": {"base_dir": str(own.running.data / folder)},
                },
            )  # fmt: skip
            assert switched.status_code == 200, switched.text
            got = told.get(f"/v1/objects/{tenant}/dev/k")
            assert got.content == folder.encode()
            assert got.headers["x-backend-type"] == "filesystem"


def test_reads_behind_a_command_that_never_ends_are_told_so_and_hold_nobody_up(
    own: Gateway,
) -> None:
    tenant = own.routes("t_endless", ResourceKind.OBJECT_STORE)
    other = own.routes("t_beside", ResourceKind.OBJECT_STORE)
    terms = Terms.model_validate({"quotas": {"commands_per_second": 1e-6}})
    own.running.registry().policies.set(
        tenant, terms, Change(actor="test", reason="test", change_id=new_op_id())
    )
    waits = {"Prefer": "respond-async"}
    for _ in range(3):
        own.http.put(f"/v1/objects/{tenant}/dev/k", content=b"x", headers=waits)
    key = new_op_id()
    last = own.http.put(
        f"/v1/objects/{tenant}/dev/k", content=b"x", headers=waits | {"Idempotency-Key": key}
    )
    assert last.status_code == 202
    request = head("GET", f"/v1/objects/{tenant}/dev/k", f"X-After: {key}")
    with ExitStack() as waiting:
        connections = []
        for _ in range(200):
            connection = waiting.enter_context(connect(port_of(own)))
            connection.sendall(request)
            connections.append(connection)
        for number in range(10):
            stored = own.http.put(f"/v1/objects/{other}/dev/k{number}", content=b"x")
            assert stored.status_code == 200
            assert own.http.get(f"/v1/objects/{other}/dev/k{number}").content == b"x"
        for connection in connections:
            answer = read(connection)
            assert answer is not None
            document = json.loads(answer.body)
            assert (answer.status, document["error_code"]) == (504, "OUTCOME_PENDING"), document
