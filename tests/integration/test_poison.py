"""A command that kills its worker runs three times at most, and its neighbours go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signalbox.commands.ledger.dead import DeadLetter, Which
from signalbox.commands.object_store import ListObjects, PutObject
from signalbox.commands.payload import InlinePayload
from tests.integration.conftest import start_stack, wait_until

TENANT = "t_poison"


def put(key: str) -> PutObject:
    return PutObject(tenant_id=TENANT, env="dev", key=key, payload=InlinePayload(data=b"x"))


def test_poison_is_found_alone_and_the_innocent_around_it_are_all_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_FAULTS", "command.before=kill~poison")
    with (
        start_stack(tmp_path / "stack", workers=2, SIGNALBOX_LEASE="6") as running,
        running.client() as client,
    ):
        running.route_to_folder(TENANT)
        keys = [f"k{number:03}" for number in range(120)]
        # Two of them, in the midst of a batch.
        commands = [put(key) for key in keys]
        commands[40:40] = [put("shared-poison")]
        commands[90:90] = [put("other-poison")]
        deaths = 0
        client.submit_many(commands)

        def nothing_open() -> bool:
            nonlocal deaths
            for worker in [worker for worker in running.stack.workers if not worker.running]:
                deaths += 1
                running.stack.workers.remove(worker)
                running.stack.start_worker()
            return client.ledger.totals()["open"] == 0

        wait_until(nothing_open, "everything has ended")
        letters = list(client.dead.find(Which(tenant_id=TENANT)))
        assert {_key(letter) for letter in letters} == {"other-poison", "shared-poison"}
        assert {letter.code for letter in letters} == {"ATTEMPTS_EXHAUSTED"}
        assert deaths <= 6
        page = client.run_outcome(ListObjects(tenant_id=TENANT, env="dev")).unwrap()
        assert [entry["key"] for entry in page["objects"]] == keys


def _key(letter: DeadLetter) -> str:
    return str(json.loads(letter.document)["key"])
