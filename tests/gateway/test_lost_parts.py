"""A gateway that is killed, a state that is gone, and two gateways at once: nothing is done twice,
and nothing old is told."""

from __future__ import annotations

import array
import fcntl
import json
import shutil
import socket
import termios
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from signalbox.commands.model import new_op_id
from signalbox.commands.scope import ResourceKind
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.rebase import rebase
from tests.gateway.answer_check import answer_check
from tests.gateway.conftest import Gateway, error_of
from tests.gateway.raw import connect, head
from tests.integration.conftest import start_stack, wait_until

EVENT = {"type": "order.placed", "data": {"order": 7}}
SMALL, LARGE = b"x" * 1000, b"x" * 700_000


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A stack whose parts may be killed."""
    data: Path = tmp_path_factory.mktemp("lost")
    with start_stack(data, workers=1, kills_workers=True, SIGNALBOX_GATEWAY_PORT="0") as running:
        base = running.stack.start_gateway()
        with client_of(base) as http:
            yield Gateway(base, running, http)


def client_of(base: str) -> httpx.Client:
    return httpx.Client(
        base_url=base, timeout=300, event_hooks={"response": [answer_check().on_response]}
    )


def killed_and_restarted(gateway: Gateway) -> httpx.Client:
    """SIGKILL; a client of another gateway."""
    process = gateway.running.stack.gateway
    assert process is not None
    process.kill()
    return client_of(gateway.running.stack.start_gateway())


@pytest.mark.parametrize("sent", ["half of the body", "all of the body"])
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_put_during_which_the_gateway_is_killed_is_repeated_and_done_once(
    own: Gateway, sent: str, content: bytes
) -> None:
    tenant = own.routes("t_cut", ResourceKind.OBJECT_STORE)
    path, key = f"/v1/objects/{tenant}/dev/{new_op_id()}", new_op_id()
    named = {"Idempotency-Key": key, "If-None-Match": "*"}
    headers = [f"{name}: {value}" for name, value in named.items()]
    process = own.running.stack.gateway
    assert process is not None
    with connect(urlsplit(own.running.stack.addresses["gateway"]).port or 0) as connection:
        request = head("PUT", path, f"Content-Length: {len(content)}", *headers)
        body = content if sent == "all of the body" else content[: len(content) // 2]
        connection.sendall(request + body)
        if sent == "all of the body":
            # It is taken from the connection, so it may be anywhere.
            wait_until(lambda: unread(connection) == 0, "the gateway has read it")
        with killed_and_restarted(own) as http:
            # Done twice, it would be refused the second time.
            first = http.put(path, content=content, headers=named)
            assert first.status_code == 200, first.text
            again = http.put(path, content=content, headers=named)
            assert (again.status_code, again.json()) == (200, first.json())
            assert http.get(path).content == content
            other = http.put(path, content=content[1:], headers=named)
            assert (other.status_code, error_of(other)["error_code"]) == (409, "OP_ID_REUSED")
            assert http.get(path).content == content
            dead = http.get("/v1/dead-letters", params={"tenant": tenant}).json()
            assert not dead["dead_letters"]


def test_one_key_sent_to_two_gateways_at_once_is_done_once(own: Gateway) -> None:
    tenant = own.routes("t_both", ResourceKind.EVENT_STREAM)
    stream = f"/v1/streams/{tenant}/dev/orders"
    first = own.running.stack.start_gateway()
    bases = (first, own.running.stack.start_gateway())
    start = Barrier(4)

    def append(number: int, key: str, body: dict[str, Any]) -> httpx.Response:
        with client_of(bases[number % 2]) as http:
            start.wait()
            return http.post(stream, json=body, headers={"Idempotency-Key": key})

    with ThreadPoolExecutor(4) as threads, client_of(first) as http:
        for turn in range(4):
            keys = [new_op_id()] * 4
            answers = list(threads.map(append, range(4), keys, [EVENT] * 4))
            assert {each.status_code for each in answers} == {200}
            assert len({each.text for each in answers}) == 1
            versions = [e["version"] for e in http.get(stream).json()["events"]]
            assert versions == list(range(1, turn + 2))
        # Of two contents one is done, and the other refused.
        keys = [new_op_id()] * 4
        bodies = [EVENT | {"data": {"order": number // 2}} for number in range(4)]
        answers = list(threads.map(append, range(4), keys, bodies))
        assert sorted({each.status_code for each in answers}) == [200, 409]
        for each in answers:
            assert each.status_code == 200 or error_of(each)["error_code"] == "OP_ID_REUSED"
        assert len(http.get(stream).json()["events"]) == 5


class Tail:
    """Reads server-sent events in a thread, until the response ends."""

    def __init__(self, base: str, path: str, last: int | None = None) -> None:
        self.versions: list[int] = []
        self.error: dict[str, Any] = {}
        self.status = 0
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        self._thread = threading.Thread(target=self._read, args=(f"{base}{path}/tail", headers))
        self._thread.start()

    def _read(self, url: str, headers: dict[str, str]) -> None:
        named = ""
        with (
            suppress(httpx.TransportError),
            httpx.stream("GET", url, headers=headers, timeout=300) as answer,
        ):
            self.status = answer.status_code
            if self.status != 200:
                self.error = json.loads(answer.read())
                return
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    named = value
                elif name == "data" and named == "error":
                    self.error = json.loads(value)
                elif name == "data":
                    self.versions.append(json.loads(value)["version"])

    def ended(self) -> None:
        self._thread.join(300)
        assert not self._thread.is_alive()


def test_a_tail_goes_on_behind_a_killed_gateway_and_misses_nothing(own: Gateway) -> None:
    tenant = own.routes("t_tail", ResourceKind.EVENT_STREAM)
    path = f"/v1/streams/{tenant}/dev/orders"
    base = own.running.stack.start_gateway()
    with client_of(base) as http:
        assert http.post(path, json=EVENT).status_code == 200
        tail = Tail(base, path)
        wait_until(lambda: tail.versions == [1], "it is told what is there")
    with killed_and_restarted(own) as http:
        tail.ended()
        assert not tail.error
        assert http.post(path, json=EVENT).status_code == 200
        tail = Tail(str(http.base_url).rstrip("/"), path, last=1)
        wait_until(lambda: tail.versions == [2], "it goes on behind what it knows")
        assert http.post(path, json=EVENT).status_code == 200
        wait_until(lambda: tail.versions == [2, 3], "it is told what is new")
        own.running.stack.gateway.terminate()  # type: ignore[union-attr]
        tail.ended()
        assert not tail.error
    own.running.stack.start_gateway()


def test_a_tail_is_told_that_its_route_leads_elsewhere_now(own: Gateway) -> None:
    """Versions begin anew there: it would wait behind them, and miss what comes first."""
    tenant, kind = "t_moved", ResourceKind.EVENT_STREAM
    path = f"/v1/streams/{tenant}/dev/orders"
    own.running.route_to_folder(tenant, "events-1", kind)
    base = own.running.stack.start_gateway()
    with client_of(base) as http:
        assert [http.post(path, json=EVENT).status_code for _ in range(3)] == [200] * 3
        tail = Tail(base, path)
        wait_until(lambda: tail.versions == [1, 2, 3], "it is told what is there")
        own.running.route_to_folder(tenant, "events-2", kind)
        assert http.post(path, json=EVENT).status_code == 200
        tail.ended()
        assert tail.error["error_code"] == "CONFLICT"
        again = Tail(base, path, last=3)
        again.ended()
        assert (again.status, again.error["error_code"]) == (409, "CONFLICT")
        # The other stream may have as many events, which are others.
        from_the_beginning = Tail(base, path)
        assert [http.post(path, json=EVENT).status_code for _ in range(2)] == [200] * 2
        wait_until(lambda: from_the_beginning.versions == [1, 2, 3], "it is told of the new ones")
        own.running.route_to_folder(tenant, "events-1", kind)
        from_the_beginning.ended()
        assert from_the_beginning.error["error_code"] == "CONFLICT"


def test_a_state_that_is_gone_tells_nothing_old_and_another_is_taken(own: Gateway) -> None:
    tenant = own.routes("t_gone", ResourceKind.OBJECT_STORE)
    stack = own.running.stack
    with client_of(stack.start_gateway()) as http:
        path = f"/v1/objects/{tenant}/dev/k"
        assert http.put(path, content=b"old").status_code == 200
        assert http.get(path).content == b"old"
        stack.redis.kill()
        for answer in (http.get(path), http.put(path, content=b"new"), http.get("/readyz")):
            assert answer.status_code == 503, answer.text
            assert error_of(answer)["temporary"] is True
            assert answer.headers["retry-after"]
        shutil.rmtree(own.running.data / "redis")
        stack.redis.start()
        # Routes are gone with the state, and what was in memory is not used.
        for _ in range(5):
            answer = http.get(path)
            assert answer.status_code == 503, answer.text
            assert error_of(answer)["error_code"] in ("REGISTRY_REGRESSED", "LEDGER_REGRESSED")
        later = {"Prefer": "respond-async", "Idempotency-Key": new_op_id()}
        assert http.put(path, content=b"new", headers=later).status_code == 202
        rebase(own.running.registry(), Change(actor="test", reason="test", change_id=new_op_id()))
        # Nothing has to be restarted.
        wait_until(lambda: http.get(path).status_code == 500, "there is no route")
        own.running.route_to_folder(tenant, "elsewhere")
        assert http.get(path).status_code == 404
        wait_until(
            lambda: http.put(path, content=b"newer").status_code == 200, "workers run commands"
        )
        assert http.get(path).content == b"newer"


def unread(connection: socket.socket) -> int:
    """Bytes that the other side has not acknowledged."""
    size = array.array("i", [0])
    fcntl.ioctl(connection, termios.TIOCOUTQ, size)
    return size[0]
