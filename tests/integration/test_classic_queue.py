"""A plain client that declared a queue on RabbitMQ before the workers did, in its own way."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import celery
import pytest
from kombu.entity import Queue

from signalbox.commands.object_store import HeadObject
from tests.absent import absent
from tests.chaos.part import CannotRun
from tests.chaos.rabbit import virtual_host
from tests.chaos.testbed import Testbed, open_testbed
from tests.conftest import need_redis
from tests.integration.conftest import wait_until

TENANT = "t_wire"
QUEUE = "object_store.0"
"""That of this tenant's env `dev`; `t_demo/dev` has another."""


@pytest.fixture
def testbed(tmp_path: Path) -> Iterator[Testbed]:
    need_redis()
    try:
        url = virtual_host()
        publish(url)
        with open_testbed(
            tmp_path, workers=1, broker_url=url, SIGNALBOX_LOG_LEVEL="warning"
        ) as running:
            yield running
    except CannotRun as reason:
        absent("RabbitMQ", str(reason))


def publish(url: str) -> None:
    """As Celery does that was told nothing: the queue becomes a classic one."""
    app = celery.Celery(broker=url)
    app.conf.task_queues = [Queue(QUEUE)]  # type: ignore[no-untyped-call]  # kombu has no types
    put = {
        "op": "object_store.put",
        "tenant_id": TENANT,
        "env": "dev",
        "key": "k",
        "op_id": "plain",
        "payload": {"type": "inline", "data": base64.b64encode(b"x").decode()},
    }
    app.send_task("object_store.put", kwargs={"command": put}, queue=QUEUE)
    app.close()


def test_the_queue_is_used_as_it_is_by_workers_and_producers(testbed: Testbed) -> None:
    ref = f"{TENANT}/dev/plain"
    wait_until(
        lambda: testbed.client.ledger.outcomes([ref]) != [None], "the plain client's put ran"
    )
    # Ours publish to the same queue, and to another one.
    for tenant in (TENANT, "t_demo"):
        outcome = testbed.client.run_outcome(HeadObject(tenant_id=tenant, env="dev", key="none"))
        assert outcome.error is not None
        assert outcome.error.code in {"NOT_FOUND", "ROUTE_NOT_FOUND"}
    [worker] = testbed.stack.workers
    assert worker.running
    log = worker.log.read_text()
    assert "not as a quorum queue" in log
    assert QUEUE in log
