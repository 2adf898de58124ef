"""A client on RabbitMQ that has one of our queues to itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import amqp

from signalbox.commands.object_store import HeadObject
from tests.absent import absent
from tests.chaos.part import CannotRun
from tests.chaos.rabbit import virtual_host
from tests.chaos.testbed import open_testbed
from tests.conftest import need_redis
from tests.integration.conftest import TIMEOUT, wait_until
from tests.integration.test_classic_queue import QUEUE, TENANT


def test_workers_leave_out_a_queue_that_is_anothers_alone_until_it_is_free(tmp_path: Path) -> None:
    need_redis()
    try:
        url = virtual_host()
        host, _, virtual = url.removeprefix("amqp://guest:guest@").partition("/")
        foreign = amqp.Connection(host, virtual_host=virtual)
        foreign.connect()
        foreign.channel().queue_declare(QUEUE, exclusive=True)
        settings: dict[str, Any] = {"SIGNALBOX_PUBLISH_GRACE": "1"}
        with open_testbed(tmp_path, 1, broker_url=url, **settings) as testbed:
            other = HeadObject(tenant_id="t_demo", env="dev", key="none")
            assert testbed.client.run_outcome(other, TIMEOUT).error is not None
            waiting = testbed.client.submit(HeadObject(tenant_id=TENANT, env="dev", key="none"))
            [worker] = testbed.stack.workers
            told = {"RESOURCE_LOCKED", f"queue={QUEUE}", "UNAVAILABLE"}
            # Its consumer of the other queue may be there first.
            wait_until(lambda: all(map(worker.log.read_text().__contains__, told)), "it tells")
            assert testbed.client.ledger.outcomes([waiting.receipt.ref]) == [None]
            foreign.close()
            assert testbed.client.wait([waiting], TIMEOUT) != [None]
            assert worker.running
    except CannotRun as reason:
        absent("RabbitMQ", str(reason))
