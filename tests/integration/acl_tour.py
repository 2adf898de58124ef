"""The ordinary life of a deployment, in which each does as the user that it has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import celery
import httpx

from signalbox.commands.event_stream import AppendEvent, ReadEvents
from signalbox.commands.metrics_store import IngestPoints
from signalbox.commands.model import Command, new_op_id
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.tabular_store import UpsertRow
from signalbox.producers.client.client import Client
from signalbox.routing.audit.archive_mark import ArchiveMark
from signalbox.routing.registry.registry import Registry
from tests.integration.acl_deployment import Deployment
from tests.integration.conftest import TIMEOUT, wait_until

PLACE = {"tenant_id": "t_acme", "env": "prod"}
WHERE = ("-t", "t_acme", "-e", "prod")
OBJECTS = ("object_store", *WHERE)


def live(deployment: Deployment) -> None:
    """All of it, one after the other."""
    operate_before(deployment)
    with Client(deployment.settings("producer")) as client:
        produce(client)
        submit_without_our_client(client)
    operate_after(deployment)
    call_the_gateway(deployment.gateway)


def operate_before(deployment: Deployment) -> None:
    folder = deployment.folder / "data"
    for kind in ("object_store", "tabular_store", "metrics_store", "event_stream"):
        at = ("-c", f"base_dir={folder / kind}", "--reason", "first route")
        deployment.do("operator", "routes", "set", kind, "filesystem", *WHERE, *at)
    archive = ("-t", "t_system", "-e", "prod", "-c", f"base_dir={folder / 'archive'}")
    its = (*archive, "--reason", "archive")
    deployment.do("operator", "routes", "set", "event_stream", "filesystem", *its)


def produce(client: Client) -> None:
    puts: list[Command] = [put(f"k{n}") for n in range(200)]
    puts += [put("hot", f"{n}".encode()) for n in range(20)]
    large = client.content.payload(b"x" * 100_000)
    puts.append(PutObject.model_validate(PLACE | {"key": "large", "payload": large}))
    puts.append(UpsertRow.model_validate(PLACE | {"table_name": "t", "key": "r", "data": {"a": 1}}))
    points = [{"series": "cpu", "timestamp": "2026-01-31T12:00:00Z", "value": 1.0}]
    puts.append(IngestPoints.model_validate(PLACE | {"points": points}))
    event = {"type": "order.placed", "data": {"n": 1}, "id": new_op_id()}
    puts.append(AppendEvent.model_validate(PLACE | {"stream": "orders", "event": event}))
    submitted = client.submit_many(puts)
    client.submit_many(puts)  # once more, as after a lost answer
    for outcome in client.wait(submitted, TIMEOUT):
        assert outcome is not None
        outcome.unwrap()
    assert client.run(GetObject.model_validate(PLACE | {"key": "k7"}), TIMEOUT)
    assert client.run(ReadEvents.model_validate(PLACE | {"stream": "orders"}), TIMEOUT).events
    # One a submit, so that they stand in an order and wait for each other.
    with ThreadPoolExecutor(8) as threads:
        ran = threads.map(lambda n: client.run(put("hot", b"%d" % n), TIMEOUT), range(40))
        assert len(list(ran)) == 40
    missing = PutObject.model_validate(
        {"tenant_id": "t_none", "env": "prod", "key": "k", "payload": InlinePayload(data=b"x")}
    )
    failed = client.run_outcome(missing, TIMEOUT)
    assert failed.error is not None
    assert failed.error.code == "ROUTE_NOT_FOUND"
    assert client.ledger.records([failed.ref])[0] is not None


def put(key: str, data: bytes = b"x") -> PutObject:
    return PutObject.model_validate(PLACE | {"key": key, "payload": InlinePayload(data=data)})


def submit_without_our_client(client: Client) -> None:
    """A whole command, from a service with a Celery of its own; and one that is no command."""
    app = celery.Celery(broker=client.settings.broker_url)
    whole = put("whole")
    document = whole.model_dump(mode="json") | {"op": whole.op}
    app.send_task(whole.op, kwargs={"command": document}, queue="object_store.0")
    app.send_task(whole.op, kwargs={"command": {"odd": 1}}, queue="object_store.0", task_id="odd")
    app.close()
    refs = (whole.ref, "-/-/odd")
    wait_until(lambda: None not in client.ledger.outcomes(refs), "both ended")


def operate_after(deployment: Deployment) -> None:
    do, folder = deployment.do, deployment.folder / "data"
    at = ("-c", f"base_dir={folder / 'other'}", "--reason", "bigger disk")
    do("operator", "routes", "check", *OBJECTS, "--recount")
    do("operator", "routes", "lock", *OBJECTS, "--ttl", "30m", "--reason", "moving")
    switch = ("routes", "switch", "object_store", "filesystem", *WHERE, *at)
    do("operator", *switch, "--dry-run")
    do("operator", *switch)
    do("operator", "routes", "drain", *OBJECTS)
    do("operator", "routes", "unlock", *OBJECTS, "--reason", "done")
    do("operator", "routes", "history", *OBJECTS)
    do("operator", "routes", "get", *OBJECTS)
    do("operator", "routes", "list")
    do("operator", "policy", "set", "-t", "t_acme", "--max-rate", "20", "--reason", "contract")
    do("operator", "policy", "get", "-t", "t_acme")
    do("operator", "policy", "list")
    with Client(deployment.settings("producer")) as client:
        limited = client.submit_many([put(f"rate{n}") for n in range(60)])
        for outcome in client.wait(limited, TIMEOUT):
            assert outcome is not None
            outcome.unwrap()
    do("operator", "policy", "set", "-t", "t_acme", "--max-objects", "100000", "--reason", "more")
    letters = json.loads(do("operator", "dead", "ls", "--json"))["dead_letters"]
    assert {letter["error"]["code"] for letter in letters} >= {"ROUTE_NOT_FOUND"}
    failed = next(one["ref"] for one in letters if one["ref"].startswith("t_none/"))
    do("operator", "dead", "show", failed)
    its = ("-t", "t_none", "-e", "prod", "-c", f"base_dir={folder / 'late'}", "--reason", "late")
    do("operator", "routes", "set", "object_store", "filesystem", *its)
    do("operator", "dead", "replay", failed)
    wait_until(lambda: '"result"' in do("operator", "outcome", failed, "--json"), "it ran")
    do("operator", "outcome", failed.rpartition("/")[2])
    do("operator", "dead", "purge", "--", "-/-/odd")
    do(
        "operator",
        "routes",
        "delete",
        "object_store",
        "-t",
        "t_none",
        "-e",
        "prod",
        "--reason",
        "x",
    )
    registry = Registry(Client(deployment.settings("operator")).state)
    mark = ArchiveMark(registry.client)
    wait_until(lambda: mark.read().revision == registry.head().revision, "all is archived")
    do("operator", "audit", "log", "-t", "t_acme")
    do("operator", "audit", "verify", "--archive")
    do("operator", "object", "ls", *WHERE)
    assert "w1@" in do("operator", "status")


def call_the_gateway(base: str) -> None:
    for response in _calls(httpx.Client(base_url=base, timeout=TIMEOUT.total_seconds())):
        assert response.status_code < 300, f"{response.request.url}: {response.text}"


def _calls(http: httpx.Client) -> Iterator[httpx.Response]:
    objects, route = "/v1/objects/t_acme/prod", "/v1/routes/object_store/t_gate/prod"
    wait_until(lambda: http.get("/readyz").status_code == 200, "ready")
    yield http.put(f"{objects}/a", content=b"hello")
    yield http.put(f"{objects}/large", content=b"x" * 200_000)
    yield http.get(f"{objects}/a")
    yield http.get(objects)
    yield http.put("/v1/rows/t_acme/prod/people/ann", json={"age": 36})
    yield http.get("/v1/rows/t_acme/prod/people/ann")
    body: dict[str, Any] = {"backend_type": "filesystem", "config": {"base_dir": "var/a"}}
    yield http.put(route, json=body | {"reason": "first"})
    yield http.put("/v1/locks/object_store/t_gate/prod", json={"reason": "moving", "ttl": 60})
    moved = body | {"config": {"base_dir": "var/b"}, "reason": "second"}
    yield http.post(f"{route}/switch", json=moved)
    yield http.get(f"{route}/drain")
    yield http.get(f"{route}/history")
    yield http.delete("/v1/locks/object_store/t_gate/prod", params={"reason": "done"})
    yield http.get("/v1/routes/object_store")
    yield http.delete(route, params={"reason": "over"})
    yield http.put("/v1/policies/t_gate", json={"terms": {"mode": "saas"}, "reason": "sold"})
    yield http.get("/v1/policies")
    failing = {"tenant_id": "t_dead", "env": "prod", "key": "k", "op": "object_store.put"}
    content = {"type": "inline", "data": "eA=="}
    commands = [failing | {"op_id": f"dead-{n}", "payload": content} for n in range(2)]
    yield http.post("/v1/commands", json={"commands": commands})
    yield http.get("/v1/outcomes/t_dead/prod/dead-0")
    yield http.get("/v1/dead-letters", params={"tenant": "t_dead"})
    yield http.post("/v1/dead-letters/replay", json={"refs": ["t_dead/prod/dead-0"]})
    yield http.post("/v1/dead-letters/purge", json={"refs": ["t_dead/prod/dead-1"]})
    yield http.get("/v1/audit", params={"tenant": "t_gate"})
    yield http.get("/v1/status")
    yield http.post("/v1/diagnostics/t_acme/prod", params={"kind": "object_store"})


def look(deployment: Deployment) -> None:
    """What who may only look can do."""
    do = deployment.do
    do("reader", "status")
    do("reader", "routes", "get", *OBJECTS)
    do("reader", "routes", "list")
    do("reader", "routes", "history", *OBJECTS)
    do("reader", "policy", "list")
    do("reader", "audit", "log", "-t", "t_acme")
    do("reader", "audit", "verify")
    do("reader", "dead", "ls")
    wait_until(lambda: "t_dead/" in do("reader", "dead", "ls"), "it failed again")
    do("reader", "dead", "show", "t_dead/prod/dead-0")
    do("reader", "outcome", "dead-0")
