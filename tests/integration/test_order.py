"""Put, put, delete, put on one key, many times over, on four workers: accepted order holds."""

from __future__ import annotations

import base64
import random

from signalbox.commands.model import Command
from signalbox.commands.object_store import DeleteObject, GetObject, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.producers.client.client import Client
from tests.integration.conftest import TIMEOUT, RunningStack
from tests.size import size

KEYS, ROUNDS, TENANT = size(20, 50), size(300, 2000), "t_order"


def test_each_key_ends_as_its_last_accepted_command_says(four_workers: RunningStack) -> None:
    four_workers.route_to_folder(TENANT)
    chooser = random.Random(7)
    by_key: dict[str, list[Command]] = {f"key-{n:02}": [] for n in range(KEYS)}
    with four_workers.client() as client:
        submissions = []
        number = 0
        while number < ROUNDS:
            # Singles and batches of many sizes, never waiting for an outcome.
            run: list[Command] = []
            for _ in range(chooser.choice([1, 1, 2, 5, 40])):
                key = chooser.choice(list(by_key))
                for step in range(4):
                    command = _step(key, step, number)
                    by_key[key].append(command)
                    run.append(command)
                number += 1
            if chooser.random() < 0.5:
                submissions += client.submit_many(run)
            else:
                submissions += [client.submit(command) for command in run]
        outcomes = client.wait(submissions, TIMEOUT)
        assert all(outcome is not None and outcome.error is None for outcome in outcomes)

        for key, commands in by_key.items():
            records = client.ledger.records([command.ref for command in commands])
            history = sorted((r for r in records if r is not None), key=lambda r: r.seq)
            assert [r.ref for r in history] == [command.ref for command in commands]
            began = [r.began for r in history]
            ended = [r.ended for r in history]
            assert began == sorted(began, key=lambda number: number or 0)
            assert ended == sorted(ended, key=lambda number: number or 0)
            if commands:
                assert _content(client, key) == _expected(commands)
        four_workers.wait_until_idle(client)


def _step(key: str, step: int, number: int) -> Command:
    # The round ends with a put, but every third round with the delete alone.
    if step == 2 or (step == 3 and number % 3 == 0):
        return DeleteObject(tenant_id=TENANT, env="dev", key=key)
    payload = InlinePayload(data=f"{number}.{step}".encode())
    return PutObject(tenant_id=TENANT, env="dev", key=key, payload=payload)


def _expected(commands: list[Command]) -> bytes | None:
    last = commands[-1]
    if isinstance(last, PutObject):
        assert isinstance(last.payload, InlinePayload)
        return last.payload.data
    return None


def _content(client: Client, key: str) -> bytes | None:
    outcome = client.run_outcome(GetObject(tenant_id=TENANT, env="dev", key=key), TIMEOUT)
    if outcome.error is not None:
        assert outcome.error.code == "NOT_FOUND"
        return None
    data: str = outcome.unwrap()["payload"]["data"]
    return base64.b64decode(data)
