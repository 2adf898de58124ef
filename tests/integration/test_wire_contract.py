"""A service without our Python code: bare Celery messages built from docs/wire-contract.md."""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from typing import Any

import celery
import pytest

from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.scope import ResourceKind
from signalbox.producers.client.client import Client
from tests.integration.conftest import RunningStack, wait_until

TENANT = "t_wire"


class Foreign:
    """All that such a service knows: the broker, the task name, and JSON."""

    def __init__(self, broker_url: str) -> None:
        self._app = celery.Celery(broker=broker_url)

    def send(self, task: str, arguments: dict[str, Any], task_id: str | None = None) -> str:
        kind = "object_store" if task == "commands.batch" else task.partition(".")[0]
        queue = f"{kind}.{zlib.crc32(f'{TENANT}/dev'.encode()) % 4}"
        task_id = task_id or str(uuid.uuid4())
        self._app.send_task(task, kwargs=arguments, queue=queue, task_id=task_id)
        return task_id


@pytest.fixture
def foreign(two_workers: RunningStack) -> Foreign:
    two_workers.route_to_folder(TENANT)
    return Foreign(two_workers.settings.broker_url)


def put(key: str, content: bytes = b"hello", **more: Any) -> dict[str, Any]:
    payload = {"type": "inline", "data": base64.b64encode(content).decode()}
    place = {"op": "object_store.put", "v": 1, "tenant_id": TENANT, "env": "dev"}
    return {**place, "key": key, "payload": payload, **more}


def outcome_of(client: Client, ref: str) -> Outcome:
    found: list[Outcome | None] = [None]

    def ended() -> bool:
        found[:] = client.ledger.outcomes([ref])
        return found[0] is not None

    wait_until(ended, f"outcome of {ref}")
    assert found[0] is not None
    return found[0]


def test_a_bare_message_runs_and_its_outcome_has_the_documented_fields(
    two_workers: RunningStack, foreign: Foreign
) -> None:
    foreign.send("object_store.put", {"command": put("a.txt", op_id="invoice-2041-v1")})
    with two_workers.client() as client:
        outcome = outcome_of(client, f"{TENANT}/dev/invoice-2041-v1")
        tags = client.state.call("HGET", "{ledger}:layout", "tags").decode().split()
        tag = tags[zlib.crc32(f"{TENANT}/dev".encode()) % len(tags)]
        raw = client.state.call("HGET", f"{tag}:op:{TENANT}/dev/invoice-2041-v1", "out")
    assert outcome.error is None
    assert set(json.loads(raw)) == {
        "op_id", "op", "tenant_id", "env", "subject", "status", "result", "error",
        "backend_type", "route_revision", "seq", "attempt", "worker", "claimed_at", "duration_ms",
    }  # fmt: skip
    assert set(outcome.unwrap()) == {"superseded", "key", "size", "etag", "sha256", "uri"}


def test_a_message_without_op_id_takes_its_own_id_and_is_not_doubled_by_redelivery(
    two_workers: RunningStack, foreign: Foreign
) -> None:
    command = put("once.txt")
    del command["op"]
    task_id = foreign.send("object_store.put", {"command": command})
    with two_workers.client() as client:
        first = outcome_of(client, f"{TENANT}/dev/{task_id}")
        foreign.send("object_store.put", {"command": command}, task_id=task_id)
        foreign.send("object_store.put", {"command": put("after.txt", op_id="after")})
        outcome_of(client, f"{TENANT}/dev/after")
        assert outcome_of(client, f"{TENANT}/dev/{task_id}") == first


def test_a_batch_keeps_the_order_of_a_key(two_workers: RunningStack, foreign: Foreign) -> None:
    commands = [put("k", str(n).encode(), op_id=f"batch-{n}") for n in range(50)]
    foreign.send("commands.batch", {"commands": commands})
    with two_workers.client() as client:
        outcomes = [outcome_of(client, f"{TENANT}/dev/batch-{n}") for n in range(50)]
        assert all(o.error is None for o in outcomes)
        assert [o.seq for o in outcomes] == sorted(o.seq for o in outcomes)
        head = {"op": "object_store.get", "tenant_id": TENANT, "env": "dev", "key": "k"}
        task_id = foreign.send("object_store.get", {"command": head})
        content = outcome_of(client, f"{TENANT}/dev/{task_id}").unwrap()["payload"]["data"]
    assert base64.b64decode(content) == b"49"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"op": "object_store.explode"}, "UNKNOWN_COMMAND"),
        ({"surprise": 1}, "INVALID_COMMAND"),
        ({"v": 2}, "UNSUPPORTED_VERSION"),
        ({"key": "../../etc/passwd"}, "INVALID_KEY"),
        ({"key": "a\0b"}, "INVALID_KEY"),
    ],
)
def test_what_is_no_command_is_a_dead_letter_with_its_reason(
    two_workers: RunningStack, foreign: Foreign, change: dict[str, Any], code: str
) -> None:
    op_id = f"bad-{uuid.uuid4().hex}"
    foreign.send("object_store.put", {"command": put("x", op_id=op_id) | change})
    with two_workers.client() as client:
        outcome = outcome_of(client, f"{TENANT}/dev/{op_id}")
        [record] = client.ledger.records([f"{TENANT}/dev/{op_id}"])
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.tenant_id) == (code, TENANT)
    assert record is not None
    assert record.state == "dead"


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": put("x") | {"tenant_id": "../t_other"}},
        {"command": "put"},
        {"command": None},
        {"surprise": 1},
        {"commands": {"not": "a list"}},
    ],
)
def test_what_names_no_valid_tenant_is_kept_under_the_message_id(
    two_workers: RunningStack, foreign: Foreign, arguments: dict[str, Any]
) -> None:
    task_id = foreign.send("object_store.put", arguments)
    with two_workers.client() as client:
        outcome = outcome_of(client, f"-/-/{task_id}")
    assert outcome.error is not None
    assert outcome.error.http_status == 400


def test_the_same_op_id_with_another_content_does_not_run(
    two_workers: RunningStack, foreign: Foreign
) -> None:
    foreign.send("object_store.put", {"command": put("same", b"first", op_id="same")})
    with two_workers.client() as client:
        first = outcome_of(client, f"{TENANT}/dev/same")
        foreign.send("object_store.put", {"command": put("same", b"second", op_id="same")})
        foreign.send("object_store.put", {"command": put("z", op_id="behind")})
        outcome_of(client, f"{TENANT}/dev/behind")
        assert outcome_of(client, f"{TENANT}/dev/same") == first
        second = PutObject.model_validate_json(json.dumps(put("same", b"second", op_id="same")))
        kept = outcome_of(client, f"{second.ref}.{second.fingerprint()[:8]}")
        assert kept.error is not None
        assert kept.error.code == "OP_ID_REUSED"
        head = {"op": "object_store.head", "tenant_id": TENANT, "env": "dev", "key": "same"}
        task_id = foreign.send("object_store.head", {"command": head})
        assert outcome_of(client, f"{TENANT}/dev/{task_id}").unwrap()["size"] == 5


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        (
            {"op": "tabular_store.upsert", "table_name": "t", "key": "k", "data": {"n": 1.0}},
            {"superseded", "table_name", "key", "revision"},
        ),
        (
            {
                "op": "metrics_store.ingest",
                "points": [{"series": "s", "timestamp": "2026-01-31T12:00:00Z", "value": 1}],
            },
            {"points"},
        ),
        (
            {"op": "event_stream.append", "stream": "s", "event": {"type": "happened"}},
            {"stream", "event_id", "version", "duplicate"},
        ),
    ],
)
def test_the_other_kinds_run_from_bare_messages_too(
    two_workers: RunningStack, foreign: Foreign, command: dict[str, Any], fields: set[str]
) -> None:
    kind = ResourceKind(command["op"].partition(".")[0])
    two_workers.route_to_folder(TENANT, kind=kind)
    message = {"command": {"tenant_id": TENANT, "env": "dev", **command}}
    task_id = foreign.send(command["op"], message)
    with two_workers.client() as client:
        result = outcome_of(client, f"{TENANT}/dev/{task_id}").unwrap()
    assert set(result) == fields
