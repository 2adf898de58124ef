"""Flower shows what ran and for whom and how it ended, never content, and takes no orders."""

from __future__ import annotations

import html
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.payload import InlinePayload
from tests.integration.conftest import RunningStack, start_stack, wait_until
from tests.integration.test_wire_contract import Foreign, put

TENANT = "t_wire"
TASKS = (
    "/tasks/datatable?draw=1&start=0&length=1000&order[0][column]=0"
    "&order[0][dir]=asc&columns[0][data]=name&search[value]="
)
"""What Flower's own page of tasks asks for; what is searched for comes behind it."""
SECRET = b"hunter2-hunter2"
SECRET_IN_BASE64 = "aHVudGVyMi1odW50ZXIy"
LARGE = SECRET * 5_000
FOREIGN_ID = "0b0f1d3e-6a39-4a5b-8c1c-7a1f2f8f7f01"
FOREIGN_BATCH_ID = "0b0f1d3e-6a39-4a5b-8c1c-7a1f2f8f7f02"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with start_stack(tmp_path_factory.mktemp("stack"), workers=1, flower=True) as running:
        yield running


def fetch(running: RunningStack, path: str) -> str:
    request = urllib.request.Request(f"{running.stack.addresses['flower']}{path}")  # noqa: S310
    with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310
        return str(answer.read().decode())


def tasks(running: RunningStack, search: str = "") -> list[dict[str, Any]]:
    """The rows of Flower's list, as its page asks for them."""
    found = json.loads(fetch(running, TASKS + urllib.parse.quote(search)))
    assert "searchError" not in found
    return list(found["data"])


def wait_for_flower(running: RunningStack, search: str, number: int = 1) -> list[dict[str, Any]]:
    wait_until(lambda: len(tasks(running, search)) >= number, f"Flower finds {search}")
    return tasks(running, search)


def ours(key: str, content: bytes = SECRET, tenant: str = TENANT) -> PutObject:
    payload = InlinePayload(data=content)
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=payload)


@pytest.fixture(scope="module")
def shown(watched: RunningStack) -> RunningStack:
    """With commands on each way that they come by."""
    watched.route_to_folder(TENANT)
    wait_until(lambda: "w1" in fetch(watched, "/workers"), "Flower sees the worker")
    with watched.client() as client:
        client.run(ours("alone.txt"))
        client.wait(client.submit_many([ours(f"parcel-{number}.txt") for number in range(3)]))
        # Larger than what a parcel takes: tickets.
        client.wait(
            client.submit_many([ours(f"ticket-{number}.txt", LARGE) for number in range(3)])
        )
    foreign = Foreign(watched.settings.broker_url)
    foreign.send("object_store.put", {"command": put("theirs.txt", SECRET)}, FOREIGN_ID)
    several = [put(f"theirs-{number}.txt", SECRET) for number in range(2)]
    foreign.send("commands.batch", {"commands": several}, FOREIGN_BATCH_ID)
    for name, number in (
        ("alone", 1),
        ("parcel-", 3),
        ("ticket-", 3),
        ("theirs.", 1),
        ("theirs-", 2),
    ):
        wait_for_flower(watched, f"state:SUCCESS {name}", number)
    # A message of several ends behind its commands.
    for name in ("commands.drain", "commands.batch"):
        wait_for_flower(watched, f"name:{name} state:SUCCESS")
    return watched


def test_each_command_is_a_task_with_its_op_tenant_key_and_size(shown: RunningStack) -> None:
    commands = tasks(shown, "name:object_store")
    names = ["alone", *(f"parcel-{n}" for n in range(3)), "theirs", "theirs-0", "theirs-1"]
    expected = {f"{name}.txt": len(SECRET) for name in names}
    expected |= {f"ticket-{number}.txt": len(LARGE) for number in range(3)}
    for key, size in expected.items():
        line = f"{TENANT}/dev object_store.put {key} {size}B op_id="
        [task] = [task for task in commands if task["kwargs"].startswith(line)]
        assert task["name"] == "object_store.put"
        assert (task["state"], task["args"]) == ("SUCCESS", "()")
        assert task["result"] == "done on filesystem, revision 1"
        assert task["kwargs"] == f"{line}{task['uuid']}"
        assert task["worker"].startswith("w1")
        assert task["received"] <= task["started"] <= task["succeeded"]
        assert task["runtime"] >= 0
        assert key in fetch(shown, f"/task/{task['uuid']}")
    assert len(commands) == len(expected)
    assert {task["name"] for task in tasks(shown)} == {
        *("object_store.put", "commands.drain", "commands.batch")
    }


def test_a_plain_clients_command_is_one_task_under_the_id_that_it_chose(
    shown: RunningStack,
) -> None:
    assert [task["uuid"] for task in tasks(shown, "theirs.txt")] == [FOREIGN_ID]
    assert {task["uuid"] for task in tasks(shown, FOREIGN_BATCH_ID)} == {
        *(FOREIGN_BATCH_ID, f"{FOREIGN_BATCH_ID}.0", f"{FOREIGN_BATCH_ID}.1")
    }


def test_one_finds_commands_by_tenant_key_and_op_id(shown: RunningStack) -> None:
    other = ours("elsewhere.txt", tenant="t_other")
    with shown.client() as client:
        client.run_outcome(other)
    assert [task["uuid"] for task in wait_for_flower(shown, "t_other/dev")] == [other.op_id]
    for search in (other.op_id, "elsewhere.txt", "t_other elsewhere", "kwargs:t_other/dev"):
        assert [task["uuid"] for task in tasks(shown, search)] == [other.op_id]


def test_a_command_that_failed_is_a_failure_with_code_and_next_step(shown: RunningStack) -> None:
    lost = ours("lost.txt", tenant="t_nowhere")
    named = ours("named.txt", tenant="t_nowhere").model_copy(update={"op_id": "order-17"})
    missing = GetObject(tenant_id=TENANT, env="dev", key="none.txt")
    with shown.client() as client:
        outcomes = [client.run_outcome(command) for command in (lost, named, missing)]
    foreign = Foreign(shown.settings.broker_url)
    no_command = {"tenant_id": TENANT, "env": "dev", "key": 7, "payload": SECRET.decode()}
    refused = foreign.send("object_store.put", {"command": no_command})
    ids = [lost.op_id, "t_nowhere/dev/order-17", missing.op_id, refused]
    for task_id in ids:
        wait_for_flower(shown, f"state:FAILURE {task_id}")
    failures = {task["uuid"]: task for task in tasks(shown, "state:FAILURE")}
    for task_id, outcome in zip(ids, outcomes, strict=False):
        task, error = failures[task_id], outcome.error
        assert error is not None
        assert task["exception"] == task["result"] == f"{error.code}: {error.message}"
        assert task["traceback"] == error.next_step
        page = html.unescape(fetch(shown, f"/task/{urllib.parse.quote(task_id)}"))
        assert error.code in page
        assert str(error.next_step) in page
    assert failures[refused]["exception"].startswith("INVALID_COMMAND: ")
    assert {task["uuid"] for task in tasks(shown, "state:FAILURE ROUTE_NOT_FOUND t_nowhere")} == {
        *(lost.op_id, "t_nowhere/dev/order-17")
    }
    assert not {task["uuid"] for task in tasks(shown, "state:SUCCESS")} & set(ids)


def test_nothing_of_contents_is_shown(shown: RunningStack) -> None:
    rows = tasks(shown)
    pages = json.dumps(rows) + fetch(shown, "/tasks")
    pages += "".join(fetch(shown, f"/task/{urllib.parse.quote(row['uuid'])}") for row in rows)
    assert "ticket-0.txt" in pages
    for text in (SECRET.decode(), SECRET_IN_BASE64, SECRET_IN_BASE64[:12]):
        assert text not in pages


def test_text_of_strangers_is_no_markup(shown: RunningStack) -> None:
    with shown.client() as client:
        client.run(ours("<b>bold.txt"))
    [task] = wait_for_flower(shown, "bold.txt")
    page = fetch(shown, f"/task/{task['uuid']}")
    assert "bold.txt" in page
    assert "<b>bold" not in page


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/worker/shutdown/w1", ""),
        ("/api/worker/pool/shrink/w1?n=4", ""),
        ("/api/worker/queue/cancel-consumer/w1?queue=object_store.0", ""),
        ("/api/task/revoke/any?terminate=true", ""),
        ("/api/task/send-task/routing.switch", '{"kwargs": {"command": {}}}'),
        ("/api/task/async-apply/routing.set", '{"kwargs": {"command": {}}}'),
    ],
)
@pytest.mark.parametrize("origin", [None, "https://stranger.example"])
def test_no_page_gives_orders_through_flower(
    watched: RunningStack, path: str, body: str, origin: str | None
) -> None:
    """A page in a browser on the same machine can send such a request to loopback."""
    address = watched.stack.addresses["flower"]
    request = urllib.request.Request(f"{address}{path}", data=body.encode(), method="POST")  # noqa: S310
    if origin:
        request.add_header("Origin", origin)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)  # noqa: S310
    assert refused.value.code in (401, 403)
    assert refused.value.headers["Access-Control-Allow-Origin"] is None
    assert [worker.name for worker in watched.stack.workers if not worker.running] == []
