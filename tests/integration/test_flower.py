"""Flower shows what runs and for whom, never content, and takes no orders from anyone."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from commands.object_store import PutObject
from commands.payload import InlinePayload
from tests.integration.conftest import Lane, lane, wait_until
from tests.integration.test_wire_contract import Foreign, put

TENANT = "t_wire"
TASKS = (
    "/tasks/datatable?draw=1&start=0&length=100&search[value]=&order[0][column]=0"
    "&order[0][dir]=asc&columns[0][data]=name"
)
"""What Flower's own page of tasks asks for."""
SECRET = b"hunter2-hunter2"
SECRET_IN_BASE64 = "aHVudGVyMi1odW50ZXIy"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    with lane(tmp_path_factory.mktemp("stack"), workers=1, flower=True) as running:
        yield running


def fetch(running: Lane, path: str) -> str:
    request = urllib.request.Request(f"{running.stack.addresses['flower']}{path}")  # noqa: S310
    with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310
        return str(answer.read().decode())


def test_flower_names_task_tenant_env_key_and_size_but_no_content(watched: Lane) -> None:
    watched.route_to_folder(TENANT)
    wait_until(lambda: "w1" in fetch(watched, "/workers"), "Flower sees the worker")
    with watched.client() as client:
        ours = PutObject(
            tenant_id=TENANT, env="dev", key="ours.txt", payload=InlinePayload(data=SECRET)
        )
        client.run(ours).unwrap()
        batch = [
            PutObject(
                tenant_id=TENANT,
                env="dev",
                key=f"batch-{number}.txt",
                payload=InlinePayload(data=SECRET),
            )
            for number in range(3)
        ]
        client.wait(client.submit_many(batch))
        foreign = Foreign(watched.settings.broker_url)
        foreign.send("object_store.put", {"command": put("theirs.txt", SECRET)})
        wait_until(lambda: "theirs.txt" in fetch(watched, TASKS), "Flower has all tasks")
        tasks = json.loads(fetch(watched, TASKS))["data"]
        pages = fetch(watched, TASKS) + fetch(watched, "/tasks")
        pages += "".join(fetch(watched, f"/task/{task['uuid']}") for task in tasks)
    assert {task["name"] for task in tasks} == {"object_store.put", "commands.batch"}
    shown = " ".join(task["kwargs"] for task in tasks)
    for key in ("ours.txt", "theirs.txt", "batch-0.txt"):
        assert f"{TENANT}/dev object_store.put {key} {len(SECRET)}B" in shown
    assert SECRET.decode() not in pages
    assert SECRET_IN_BASE64 not in pages


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
    watched: Lane, path: str, body: str, origin: str | None
) -> None:
    """A page in a browser on the same machine can send such a request to loopback."""
    address = watched.stack.addresses["flower"]
    request = urllib.request.Request(f"{address}{path}", data=body.encode(), method="POST")  # noqa: S310
    if origin:
        request.add_header("Origin", origin)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310
    assert refused.value.code in (401, 403)
    assert refused.value.headers["Access-Control-Allow-Origin"] is None
    assert [worker.name for worker in watched.stack.workers if not worker.running] == []
