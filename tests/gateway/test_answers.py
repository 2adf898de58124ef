"""The OpenAPI document is true: what a gateway with all its parts answers is what it says.

`test_principals` has those of principals, which need a signed registry, and the other tests with a
gateway compare each of their answers, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from signalbox.commands.model import new_op_id
from tests.gateway.answer_check import AnswerCheck
from tests.gateway.conftest import BUCKET, Gateway
from tests.integration.conftest import wait_until

TENANT = "t_answers"
AT = f"{TENANT}/dev"
NOWHERE = {"X-Tenant-Id": "t_without", "X-Key": "k"}
NAMED = {"X-Tenant-Id": TENANT}
POINT = {"series": "cpu", "timestamp": "2026-01-31T12:00:00Z", "value": 0.5}
SPAN = {"start": "2026-01-31T00:00:00Z", "end": "2026-02-01T00:00:00Z"}
WINDOWS = SPAN | {"aggregation": "mean", "window": "PT5M"}
EVENT = {"type": "order.placed", "data": {"order": 7}}


@pytest.fixture
def check() -> AnswerCheck:
    return AnswerCheck()


@pytest.fixture
def http(gateway: Gateway, check: AnswerCheck) -> Iterator[httpx.Client]:
    gateway.routes(TENANT)
    hooks = {"response": [check.on_response]}
    with httpx.Client(base_url=gateway.base, timeout=120, event_hooks=hooks) as client:
        yield client


def test_every_call_answers_what_the_document_says(
    gateway: Gateway, http: httpx.Client, check: AnswerCheck
) -> None:
    _data(http)
    _first_calls(http)
    _links(gateway, http)
    _commands(http)
    _registry(http)
    _dead_letters(http)
    for path in ("/healthz", "/v1/schemas", "/v1/status"):
        http.get(path)
    wait_until(lambda: http.get("/readyz").status_code == 200, "a worker gave a sign")
    http.post(f"/v1/diagnostics/{AT}")
    its = check.document["paths"].values()
    every = {each["operationId"] for methods in its for each in methods.values()}
    assert check.done == {name for name in every if not name.startswith("principals_")}


def test_errors_and_open_commands_are_those_of_the_document(http: httpx.Client) -> None:
    there = f"/v1/objects/{AT}/there"
    http.put(there, content=b"0123456789")
    expected = [
        (200, http.get(there)),
        (206, http.get(there, headers={"Range": "bytes=-3"})),
        (304, http.get(there, headers={"If-None-Match": "*"})),
        (412, http.get(there, headers={"If-Match": '"another"'})),
        (416, http.get(there, headers={"Range": "bytes=10-"})),
        (404, http.get(f"/v1/objects/{AT}/not-there")),
        (404, http.head(f"/v1/objects/{AT}/not-there")),
        (412, http.put(there, content=b"x", headers={"If-None-Match": "*"})),
        (400, http.put(there, content=b"x", headers={"If-Match": "no tag"})),
        (405, http.patch(there)),
        (404, http.get("/v1/nothing")),
        (500, http.put("/v1/objects/t_without/dev/k", content=b"x")),
        (
            500,
            http.post("/nexus/raw/put", content=b"x", headers=NOWHERE),
        ),
    ]
    op_id = new_op_id()
    later = {"Idempotency-Key": op_id, "Prefer": "respond-async"}
    expected.append((202, http.put(f"/v1/objects/{AT}/later", content=b"x", headers=later)))
    for status, answer in expected:
        assert answer.status_code == status, (answer.request.url, answer.text)
    outcome = f"/v1/outcomes/{AT}/{op_id}"
    wait_until(lambda: http.get(outcome).status_code == 200, "it ended, and was open before")


def _data(http: httpx.Client) -> None:
    objects, row = f"/v1/objects/{AT}", f"/v1/rows/{AT}/people/ann"
    http.put(f"{objects}/a/b", content=b"hello", headers={"X-Meta-Colour": "red"})
    http.get(f"{objects}/a/b")
    http.head(f"{objects}/a/b")
    http.get(objects, params={"delimiter": "/"})
    http.get(objects)
    http.put(row, json={"raw": {"$bytes": "AAE="}, "when": {"$timestamp": SPAN["start"]}})
    http.get(row)
    http.post(f"/v1/queries/{AT}/people", json={})
    http.post(f"/v1/points/{AT}", json={"points": [POINT]})
    http.post(f"/v1/point-queries/{AT}/cpu", json=SPAN)
    http.post(f"/v1/point-queries/{AT}/cpu", json=WINDOWS)
    http.post(f"/v1/streams/{AT}/orders", json=EVENT)
    http.get(f"/v1/streams/{AT}/orders")
    with http.stream("GET", f"/v1/streams/{AT}/orders/tail"):
        pass
    for names in ("tables", "series", "streams"):
        http.get(f"/v1/{names}/{AT}")
    http.delete(row)


def _first_calls(http: httpx.Client) -> None:
    http.post("/nexus/raw/put", content=b"hello", headers=NAMED | {"X-Key": "k"})
    http.get("/nexus/raw/get", params={"key": "k"}, headers=NAMED)
    row = {"key": "k", "data": {"a": 1}}
    http.post("/storage/tabular/people/upsert", json=row, headers=NAMED)
    http.post("/storage/metrics/cpu/ingest", json={"value": 1.5}, headers=NAMED)
    http.post("/storage/timeline/orders/append", json=EVENT, headers=NAMED)


def _links(gateway: Gateway, http: httpx.Client) -> None:
    s3 = {"resource_kind": "object_store", "backend_type": "s3", "config": {"bucket": BUCKET}}
    http.post("/routing/routes", json=s3, headers=NAMED)
    http.put(f"/v1/objects/{AT}/linked", content=b"hello")
    for kind in ("get", "put", "post"):
        http.post(f"/v1/presign-{kind}/{AT}", json={"key": "linked"})
    http.get(f"/v1/uri/{AT}/linked")
    http.post(f"/v1/register/{AT}", json={"key": "linked"})
    http.delete(f"/v1/objects/{AT}/linked")


def _commands(http: httpx.Client) -> None:
    at: dict[str, Any] = {"tenant_id": TENANT, "env": "dev"}
    ids = [new_op_id() for _ in range(4)]
    commands = [
        at | {"op": "tabular_store.upsert", "table_name": "t", "key": "k", "data": {"a": 1}},
        at | {"op": "tabular_store.get", "table_name": "t", "key": "none"},
        at | {"op": "tabular_store.query", "table_name": "t"},
        at | {"op": "no.such"},
    ]
    named = [command | {"op_id": op_id} for command, op_id in zip(commands, ids, strict=True)]
    ends = http.post("/v1/commands", json={"commands": named}).json()["results"]
    assert [end["state"] for end in ends] == ["done", "failed", "done", "refused"]
    for op_id in ids[:3]:
        http.get(f"/v1/outcomes/{AT}/{op_id}")
    later = {"Prefer": "respond-async"}
    [end] = http.post("/v1/commands", json={"commands": commands[:1]}, headers=later).json()[
        "results"
    ]
    assert end["state"] == "open"


def _registry(http: httpx.Client) -> None:
    route, reason = f"/v1/routes/tabular_store/{AT}", {"reason": "r"}
    lock = f"/v1/locks/tabular_store/{AT}"
    before = http.get(route).json()
    target = {"backend_type": "filesystem", "config": before["config"]}
    http.put(route, json=target | reason)
    http.put(lock, json=reason)
    http.get(lock)
    http.get("/v1/routes/tabular_store")
    http.delete(lock, params=reason)
    http.delete(lock, params=reason)
    elsewhere = {"base_dir": before["config"]["base_dir"] + "-2"}
    http.post(f"{route}/switch", json={"backend_type": "filesystem", "config": elsewhere} | reason)
    http.get(f"{route}/history")
    http.get(f"{route}/drain")
    http.get(f"/v1/policies/{TENANT}")
    terms = {"quotas": {"objects": 1000}, "allowed": {"object_store": {"regions": ["eu-west-1"]}}}
    http.put("/v1/policies/t_terms", json={"terms": terms} | reason)
    http.get("/v1/policies/t_terms")
    http.get("/v1/policies")
    http.get("/v1/audit", params={"limit": 1000})
    http.delete(route, params=reason)


def _dead_letters(http: httpx.Client) -> None:
    for name in ("dead-1", "dead-2"):
        headers = {"Idempotency-Key": name, "If-Match": '"another"'}
        http.put(f"/v1/objects/{AT}/none", content=b"x", headers=headers)
    letters = http.get("/v1/dead-letters", params={"tenant": TENANT}).json()["dead_letters"]
    assert {letter["ref"] for letter in letters} >= {f"{AT}/dead-1", f"{AT}/dead-2"}, json.dumps(
        letters
    )
    http.get(f"/v1/dead-letters/{AT}/dead-1")
    http.post("/v1/dead-letters/replay", json={"refs": [f"{AT}/dead-1"]})
    http.post("/v1/dead-letters/purge", json={"refs": [f"{AT}/dead-2"]})
