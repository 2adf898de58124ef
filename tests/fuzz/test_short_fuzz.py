"""Some hundreds of fuzzed messages on real workers; `make chaos ONLY=fuzz` plays 100,000."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalbox.commands.settings import Settings
from tests.chaos.testbed import open_testbed
from tests.conftest import need_redis
from tests.fuzz.line import RedisLine
from tests.fuzz.mutate import samples
from tests.fuzz.trial import TENANT, play

MAX_GROWTH = 64


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_no_message_ends_or_freezes_a_worker_or_vanishes(tmp_path: Path, pool: str) -> None:
    need_redis()
    with open_testbed(tmp_path, pool=pool) as testbed:
        testbed.route(TENANT)
        line = RedisLine(Settings().broker_url)
        report = play(testbed.client, testbed.stack.workers, line, samples(seed=7, count=600))
    assert (report.notes, report.ended, report.frozen, report.vanished) == ([], 0, 0, 0)
    assert report.growth <= MAX_GROWTH
    assert report.accepted > 0
    assert report.refused > 0
