"""What once ended a worker, froze it, or vanished: each is a dead letter, and the workers go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from signalbox.commands.settings import Settings
from tests.absent import absent
from tests.chaos.part import CannotRun
from tests.chaos.rabbit import virtual_host
from tests.chaos.testbed import Testbed, open_testbed
from tests.conftest import need_redis
from tests.fuzz.known import killers
from tests.fuzz.line import Line, RabbitLine, RedisLine
from tests.fuzz.trial import TENANT, play


@contextmanager
def room_with(folder: Path, broker: str, pool: str) -> Iterator[tuple[Testbed, Line]]:
    need_redis()
    if broker == "redis":
        with open_testbed(folder, pool=pool) as testbed:
            yield testbed, RedisLine(Settings().broker_url)
        return
    try:
        url = virtual_host()
        with open_testbed(folder, pool=pool, broker_url=url) as testbed:
            yield testbed, RabbitLine(url)
    except CannotRun as reason:
        absent("RabbitMQ", str(reason))


@pytest.mark.parametrize("pool", ["threads", "prefork"])
@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_each_killer_becomes_a_dead_letter(tmp_path: Path, broker: str, pool: str) -> None:
    with room_with(tmp_path, broker, pool) as (testbed, line):
        testbed.route(TENANT)
        report = play(testbed.client, testbed.stack.workers, line, killers(broker))
        assert (report.notes, report.ended, report.frozen) == ([], 0, 0)
        # RabbitMQ itself refuses some tables.
        assert report.refused == report.sent > 50
        assert report.growth <= 64
