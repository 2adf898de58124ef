"""The buffer on a running stack: threads, a Redis that dies, producers that end or are killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.commands.object_store import GetObject, GetResult, ListObjects, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.producers.client.buffer import BufferLimits
from signalbox.producers.client.buffered_command import Pending
from signalbox.producers.client.client import Client
from tests.integration.conftest import TIMEOUT, RunningStack, start_stack

PAGE = Path(__file__).parents[2] / "docs" / "client.md"

PRODUCER = """
import sys
import time
from datetime import timedelta
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.producers.client.buffer import BufferLimits
from signalbox.producers.client.client import Client

tenant, end, handler = sys.argv[1:]
linger = timedelta(hours=1) if end != "kill" else timedelta(milliseconds=5)
buffer = Client().buffer(BufferLimits(linger=linger))
number = 0
while end == "kill" or number < 50:
    payload = InlinePayload(data=str(number).encode())
    put = PutObject(tenant_id=tenant, env="dev", key=f"k{number:06}", payload=payload)
    pending = buffer.add(put)
    number += 1
    if end == "kill" and number % 50 == 0:
        pending.submission()
        print(number, flush=True)
if end == "raise":
    raise SystemExit("an error of its own")
if end == "term":
    exec(handler)
    print("ready", flush=True)
    while True:
        time.sleep(60)
"""


def put(tenant: str, key: str, content: str) -> PutObject:
    payload = InlinePayload(data=content.encode())
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=payload)


def stored(client: Client, tenant: str) -> list[str]:
    """The keys in the backend, in order."""
    keys: list[str] = []
    cursor = None
    while True:
        ask = ListObjects(tenant_id=tenant, env="dev", limit=1000, cursor=cursor)
        page = client.run_outcome(ask, TIMEOUT).unwrap()
        keys += [entry["key"] for entry in page["objects"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return keys


def content(client: Client, tenant: str, key: str) -> str:
    found = client.run_outcome(GetObject(tenant_id=tenant, env="dev", key=key), TIMEOUT).unwrap()
    with client.content.open(GetResult.model_validate(found)) as stream:
        return stream.read().decode()


def all_done(client: Client, pending: Sequence[Pending]) -> bool:
    outcomes = client.wait([each.submission() for each in pending], TIMEOUT)
    return all(outcome is not None and outcome.error is None for outcome in outcomes)


def test_threads_share_a_buffer_and_each_command_has_its_outcome(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_threads")
    added: list[Pending] = []
    with two_workers.client() as client, client.buffer() as buffer:

        def add(thread: int) -> None:
            added.extend(
                buffer.add(put("t_threads", f"k{thread}-{number:03}", "x")) for number in range(300)
            )

        before = client.ledger.totals().get("accepted", 0)
        threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert added[-1].outcome(TIMEOUT).error is None
        assert all_done(client, added)
        assert client.ledger.totals()["accepted"] - before == 2400
        assert len(stored(client, "t_threads")) == 2400


def test_a_killed_redis_loses_and_doubles_nothing_and_keeps_the_order(tmp_path: Path) -> None:
    with (
        start_stack(tmp_path, workers=2, kills_workers=True) as running,
        running.client() as client,
    ):
        running.route_to_folder("t_away")
        with client.buffer() as buffer:
            added: list[Pending] = []

            def add(capacity: int) -> None:
                numbers = range(len(added), len(added) + capacity)
                added.extend(buffer.add(put("t_away", f"k{n % 20}", str(n))) for n in numbers)

            for _ in range(3):
                add(500)
                added[-400].submission(TIMEOUT)  # so it is in the midst of handing over
                running.stack.redis.kill()
                add(500)
                running.stack.redis.start()
            buffer.flush(TIMEOUT)
            assert all_done(client, added)
        assert client.ledger.totals()["accepted"] == len(added) == 3000
        # One that was handed over behind a later one would have the last word.
        last = {key: content(client, "t_away", key) for key in stored(client, "t_away")}
        assert last == {f"k{number % 20}": str(number) for number in range(2980, 3000)}


@pytest.mark.parametrize("end", ["return", "raise"])
def test_a_process_that_ends_hands_over_what_it_has(two_workers: RunningStack, end: str) -> None:
    tenant = f"t_ends_{end}"
    two_workers.route_to_folder(tenant)
    subprocess.run(
        [sys.executable, "-c", PRODUCER, tenant, end, ""],
        env=os.environ | two_workers.stack.environment,
        check=end == "return",
        timeout=TIMEOUT.total_seconds(),
    )
    with two_workers.client() as client:
        two_workers.wait_until_idle(client)
        assert len(stored(client, tenant)) == 50


def test_sigterm_hands_over_with_the_two_lines_of_the_page(two_workers: RunningStack) -> None:
    [handler] = re.findall(r"```python\n(import signal\n.*?)```", PAGE.read_text(), re.DOTALL)
    two_workers.route_to_folder("t_term")
    producer = subprocess.Popen(
        [sys.executable, "-c", PRODUCER, "t_term", "term", handler],
        env=os.environ | two_workers.stack.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert producer.stdout is not None
    assert producer.stdout.readline() == "ready\n"
    producer.terminate()
    assert producer.wait(60) == 143
    with two_workers.client() as client:
        two_workers.wait_until_idle(client)
        assert len(stored(client, "t_term")) == 50


def test_a_killed_producer_keeps_what_it_was_told_is_accepted(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_killed")
    producer = subprocess.Popen(
        [sys.executable, "-c", PRODUCER, "t_killed", "kill", ""],
        env=os.environ | two_workers.stack.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert producer.stdout is not None
    told = [int(producer.stdout.readline()) for _ in range(20)]
    os.kill(producer.pid, signal.SIGKILL)
    told += [int(line) for line in producer.stdout.read().splitlines()]
    producer.wait(TIMEOUT.total_seconds())
    with two_workers.client() as client:
        two_workers.wait_until_idle(client)
        keys = stored(client, "t_killed")
    # All that it was told, without a gap, and at most what was on its way.
    assert keys == [f"k{number:06}" for number in range(len(keys))]
    assert len(keys) >= told[-1]


def test_a_client_that_closes_flushes_its_buffers(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_client")
    with two_workers.client() as client:
        pending = client.buffer(BufferLimits(linger=timedelta(hours=1))).add(
            put("t_client", "k", "x")
        )
    assert pending.submission(timedelta(seconds=1)).accepted
