"""An S3 that hangs, breaks off or says nonsense behind a gateway: its tenant is told so by a typed
error or sees that content is cut off, and others are served."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from signalbox.commands.scope import ResourceKind
from tests.gateway.conftest import AWS, BUCKET, Gateway, error_of
from tests.hostile import lying, slow
from tests.hostile.server import Behaviour, Visit, answer, serve
from tests.integration.conftest import start_stack, wait_until

SIZE = 1_000_000


def breaks_off_in_the_middle(visit: Visit) -> None:
    visit.take()
    visit.send(answer(headers=slow.STORED | {"Content-Length": str(SIZE)}), b"x" * (SIZE // 2))
    visit.connection.shutdown(2)


TOLD = {"UNAVAILABLE", "INTEGRITY_MISMATCH", "LEASE_EXPIRED", "cut off"}
BEHAVIOURS: list[Behaviour] = [
    slow.says_nothing,
    slow.stalls_mid_body,
    slow.drips_the_body,
    slow.drips_headers,
    breaks_off_in_the_middle,
    lying.no_http,
    lying.shorter_than_it_says,
    lying.garbled_chunks,
    lying.absurd_length,
    lying.without_etag,
]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data: Path = tmp_path_factory.mktemp("hostile")
    # A read may take as long as a lease, so this is as long as the test takes.
    environment = AWS | {"SIGNALBOX_GATEWAY_PORT": "0", "SIGNALBOX_LEASE": "8"}
    with start_stack(data, workers=1, kills_workers=True, **environment) as running:  # type: ignore[arg-type]
        base = running.stack.start_gateway()
        with httpx.Client(base_url=base, timeout=300) as http:
            yield Gateway(base, running, http)


def test_who_is_behind_a_hostile_store_is_told_and_holds_nobody_up(own: Gateway) -> None:
    honest = own.routes("t_honest", ResourceKind.OBJECT_STORE)

    def ask(number: int, endpoint: str) -> str:
        tenant = f"t_hostile{number}"
        config = {"bucket": BUCKET, "endpoint_url": endpoint, "addressing_style": "path"}
        route = {"resource_kind": "object_store", "backend_type": "s3", "config": config}
        path = f"/v1/objects/{tenant}/dev/k"
        with httpx.Client(base_url=own.base, timeout=300) as http:
            set_ = http.post("/routing/routes", json=route, headers={"X-Tenant-Id": tenant})
            assert set_.status_code == 200, set_.text
            got = _read(http, path)
            headers = {"Prefer": "wait=1", "Idempotency-Key": f"put-{number}"}
            put = http.put(path, content=b"x", headers=headers)
        assert put.status_code == 202 or error_of(put)["backend_type"] == "s3", put.text
        return got

    with ExitStack() as servers, ThreadPoolExecutor(len(BEHAVIOURS)) as threads:
        endpoints = [servers.enter_context(serve(each)).endpoint for each in BEHAVIOURS]
        asked = [threads.submit(ask, *each) for each in enumerate(endpoints)]
        for number in range(20):
            path = f"/v1/objects/{honest}/dev/k{number}"
            assert own.http.put(path, content=b"x").status_code == 200
            assert own.http.get(path).content == b"x"
        found = {each.__name__: its.result() for each, its in zip(BEHAVIOURS, asked, strict=True)}
    assert set(found.values()) <= TOLD, found
    assert found["breaks_off_in_the_middle"] == "cut off"
    # No thread, slot or open content is left with them.
    with ThreadPoolExecutor(16) as threads:
        paths = [f"/v1/objects/{honest}/dev/many{number}" for number in range(64)]
        for status in threads.map(lambda path: _stored_and_read(own, path), paths):
            assert status == (200, b"x")
    wait_until(lambda: own.http.get("/readyz").status_code == 200, "the worker takes commands")


def _read(http: httpx.Client, path: str) -> str:
    """The error's code, or that fewer bytes came than were announced."""
    try:
        got = http.get(path)
    except httpx.RemoteProtocolError:  # a body that is not whole
        return "cut off"
    return str(error_of(got)["error_code"])


def _stored_and_read(gateway: Gateway, path: str) -> tuple[int, bytes]:
    stored = httpx.put(f"{gateway.base}{path}", content=b"x", timeout=300)
    return stored.status_code, httpx.get(f"{gateway.base}{path}", timeout=300).content
