"""Flower, through its own API, shows what runs and for whom, and never content."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest

from commands.object_store import PutObject
from commands.payload import InlinePayload
from tests.integration.conftest import Lane, lane, wait_until
from tests.integration.test_wire_contract import Foreign, put

TENANT = "t_wire"
SECRET = b"hunter2-hunter2"
SECRET_IN_BASE64 = "aHVudGVyMi1odW50ZXIy"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    with lane(tmp_path_factory.mktemp("stack"), workers=1, flower=True) as running:
        yield running


def fetch(running: Lane, path: str) -> str:
    request = urllib.request.Request(f"{running.stack.addresses['flower']}{path}")  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return str(answer.read().decode())


@pytest.mark.timeout(120)
def test_flower_names_task_tenant_env_key_and_size_but_no_content(watched: Lane) -> None:
    watched.route_to_folder(TENANT)
    wait_until(
        lambda: bool(json.loads(fetch(watched, "/api/workers?refresh=1"))), "Flower sees the worker"
    )
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
        wait_until(lambda: "theirs.txt" in fetch(watched, "/api/tasks"), "Flower has all tasks")
        tasks = json.loads(fetch(watched, "/api/tasks"))
        pages = fetch(watched, "/api/tasks") + fetch(watched, "/tasks")
        pages += "".join(fetch(watched, f"/task/{task_id}") for task_id in tasks)
    assert {task["name"] for task in tasks.values()} == {"object_store.put", "commands.batch"}
    shown = " ".join(task["kwargs"] for task in tasks.values())
    for key in ("ours.txt", "theirs.txt", "batch-0.txt"):
        assert f"{TENANT}/dev object_store.put {key} {len(SECRET)}B" in shown
    assert SECRET.decode() not in pages
    assert SECRET_IN_BASE64 not in pages
