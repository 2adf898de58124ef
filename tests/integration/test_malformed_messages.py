"""Raw messages that no client of ours would send: each is kept, and the workers live on."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest

from signalbox.commands.object_store import HeadObject, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.producers.client.client import Client
from tests.integration.conftest import RunningStack, wait_until

TENANT = "t_malformed"
QUEUE = "object_store.0"
GOOD = {
    "op": "object_store.put",
    "tenant_id": TENANT,
    "env": "dev",
    "key": "k",
    "payload": {"type": "inline", "data": "aGk="},
}


def push(client: Client, body: bytes, headers: Any = None, **envelope: Any) -> str:
    """Put one message on the queue, byte by byte as the Redis transport stores it."""
    task_id = str(uuid.uuid4())
    if headers is None:
        headers = {"lang": "py", "task": "object_store.put", "id": task_id}
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": {
            "correlation_id": task_id,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    client.state.server().lpush(QUEUE, json.dumps(message | envelope))
    return task_id


def call(**arguments: Any) -> bytes:
    return json.dumps([[], arguments, {}]).encode()


def headers(**change: Any) -> dict[str, Any]:
    """Good headers, changed; None takes one out."""
    good = {"lang": "py", "task": "object_store.put", "id": str(uuid.uuid4())} | change
    return {name: value for name, value in good.items() if value is not None}


MESSAGES: dict[str, tuple[bytes, Any, dict[str, Any]]] = {
    "an object as body": (b'{"command": 1}', None, {}),
    "null as body": (b"null", None, {}),
    "a list of odd shape": (b"[[], [1], {}]", None, {}),
    "no JSON": (b"{", None, {}),
    "no UTF-8": (b"\xff\xfe", None, {}),
    "nested too deeply": (b"[" * 100_000, None, {}),
    "a number without end": (b"[[], {}, " + b"1" * 5000 + b"]", None, {}),
    "kwargs null": (b"[[], null, {}]", None, {}),
    "no content type": (call(command=GOOD), None, {"content-type": None}),
    "pickle": (b"cos\nsystem\n", None, {"content-type": "application/x-python-serialize"}),
    "no id": (call(command=GOOD), headers(id=None), {}),
    "no task": (call(command=GOOD), headers(task=None), {}),
    "a list as task": (call(command=GOOD), headers(task=["a"]), {}),
    "an unknown task": (call(command=GOOD), headers(task="object_store.nope"), {}),
    "a bad eta": (call(command=GOOD), headers(eta="tomorrow"), {}),
    "a bad expiry": (call(command=GOOD), headers(expires="never"), {}),
    "positional arguments": (json.dumps([[GOOD], {}, {}]).encode(), None, {}),
    "two arguments": (call(command=GOOD, commands=[GOOD]), None, {}),
    "a list for a single": (call(commands=[GOOD]), None, {}),
    "the op of another task": (call(command=GOOD | {"op": "object_store.delete"}), None, {}),
    "half a surrogate": (call(command=GOOD | {"op_id": "\ud800x"}), None, {}),
    "a forged ticket": (call(command={"ticket": 1, "op": "\ud800", "ref": "a/b/c"}), None, {}),
    "an endless size": (
        call(
            command=GOOD
            | {"payload": {"type": "staged", "ref": "0" * 32, "size": 10**18, "sha256": "0" * 64}}
        ),
        None,
        {},
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_malformed_message_is_kept_and_the_next_one_runs(
    two_workers: RunningStack, name: str
) -> None:
    two_workers.route_to_folder(TENANT)
    body, head, envelope = MESSAGES[name]
    with two_workers.client() as client:
        before = client.ledger.totals()["dead_letters"]
        push(client, body, head, **envelope)
        wait_until(
            lambda: client.ledger.totals()["dead_letters"] == before + 1, "it is a dead letter"
        )
        head_command = HeadObject(tenant_id=TENANT, env="dev", key="none")
        assert client.run_outcome(head_command).error is not None
        assert client.state.server().llen(QUEUE) == 0
    assert all(worker.running for worker in two_workers.stack.workers)


def test_no_content_of_a_malformed_message_is_logged(two_workers: RunningStack) -> None:
    secret = GOOD | {"payload": {"type": "inline", "data": "aHVudGVyMi1odW50ZXIy"}}
    with two_workers.client() as client:
        before = client.ledger.totals()["dead_letters"]
        push(client, call(command=secret), headers(task="object_store.nope"))
        push(client, call(command=secret | {"surprise": 1}))
        wait_until(lambda: client.ledger.totals()["dead_letters"] == before + 2, "both are kept")
    for worker in two_workers.stack.workers:
        assert "aHVudGVyMi1odW50ZXIy" not in worker.log.read_text()


def test_one_malformed_command_does_not_spoil_its_batch(two_workers: RunningStack) -> None:
    two_workers.route_to_folder(TENANT)
    good = GOOD | {"op_id": f"good-{uuid.uuid4().hex}"}
    bad = [
        GOOD | {"op_id": "\ud800x"},
        GOOD | {"tenant_id": "\ud800"},
        {"ticket": 1, "op": "object_store.put", "ref": "\ud800/b/c"},
        {"ticket": 1, "op": "object_store.put", "ref": f"{TENANT}/dev/unknown"},
        "text",
    ]
    with two_workers.client() as client:
        push(client, call(commands=[*bad, good]), headers(task="commands.batch"))
        ref = f"{TENANT}/dev/{good['op_id']}"
        wait_until(lambda: client.ledger.outcomes([ref]) != [None], "the good one ran")
        [outcome] = client.ledger.outcomes([ref])
        assert outcome is not None
        assert outcome.error is None


def test_a_refused_document_sent_again_corrected_runs(two_workers: RunningStack) -> None:
    two_workers.route_to_folder(TENANT)
    op_id = f"again-{uuid.uuid4().hex}"
    with two_workers.client() as client:
        before = client.ledger.totals()["dead_letters"]
        push(client, call(command=GOOD | {"op_id": op_id, "surprise": 1}))
        wait_until(lambda: client.ledger.totals()["dead_letters"] == before + 1, "it is kept")
        put = PutObject(
            tenant_id=TENANT, env="dev", key="k", op_id=op_id, payload=InlinePayload(data=b"hi")
        )
        assert client.run_outcome(put).error is None
        assert client.ledger.totals()["dead_letters"] == before
