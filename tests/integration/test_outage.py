"""The state Redis goes away: callers are told, workers wait, and nothing accepted is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from signalbox.commands.error import StateUnavailable
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from tests.integration.conftest import TIMEOUT, start_stack, wait_until

TENANT = "t_outage"


def test_a_state_that_is_silent_is_waited_for_less_than_five_seconds() -> None:
    how = connect("redis://127.0.0.1:1/0").server().connection_pool.connection_kwargs
    assert how["socket_connect_timeout"] + how["socket_timeout"] < 5


def put(number: int) -> PutObject:
    payload = InlinePayload(data=str(number).encode())
    return PutObject(tenant_id=TENANT, env="dev", key=f"k{number:04}", payload=payload)


def test_accepted_commands_survive_a_killed_redis_and_workers_go_on(tmp_path: Path) -> None:
    with (
        start_stack(tmp_path, workers=2, kills_workers=True) as running,
        running.client() as client,
    ):
        running.route_to_folder(TENANT)
        accepted = client.submit_many(put(number) for number in range(400))
        running.stack.redis.kill()

        with pytest.raises(StateUnavailable):
            client.submit(put(9999))

        running.stack.redis.start()
        outcomes = client.wait(accepted, TIMEOUT)
        assert [o for o in outcomes if o is None or o.error is not None] == []
        after = client.run_outcome(put(5000), TIMEOUT)
        assert after.error is None
        running.wait_until_idle(client)


def test_workers_with_messages_in_hand_outlive_a_redis_that_is_killed_again_and_again(
    tmp_path: Path,
) -> None:
    with (
        start_stack(tmp_path, workers=2, kills_workers=True) as running,
        running.client() as client,
    ):
        running.route_to_folder(TENANT)
        accepted = []
        for turn in range(6):
            # Singles, so that every slot has a message that is not acknowledged yet.
            accepted += [client.submit(put(turn * 200 + number)) for number in range(200)]
            running.stack.redis.kill()
            running.stack.redis.start()
            wait_until(lambda: _answers(client), "the client has found Redis again")
        outcomes = client.wait(accepted, TIMEOUT)
        assert [o for o in outcomes if o is None or o.error is not None] == []
        assert [worker.name for worker in running.stack.workers if not worker.running] == []


def _answers(client: Client) -> bool:
    try:
        return client.ledger.totals()["open"] >= 0
    except StateUnavailable:
        return False


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_that_waits_for_the_state_ends_when_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: str
) -> None:
    monkeypatch.setenv("SIGNALBOX_FAULTS", "effect.after=sleep:3")
    with (
        start_stack(tmp_path, workers=1, options=["-P", pool]) as running,
        running.client() as client,
    ):
        running.route_to_folder(TENANT)
        client.submit_many(put(number) for number in range(10))
        [worker] = running.stack.workers
        objects = tmp_path / "objects"
        wait_until(lambda: any(objects.rglob("objects.db*")), "its effects have begun")
        running.stack.redis.kill()
        os.kill(worker.pid, signal.SIGTERM)
        wait_until(lambda: not worker.running, "it has ended")
