"""Many commands in bounded memory: refusals are told, and what finds no room comes again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.commands.error import StateUnavailable
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.bulk.bounded_run import Pace, Work, run_all
from signalbox.producers.bulk.folder import Tenancy, files_below, store_files
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.ports import free_port

PLACE = Tenancy("t_stream", "dev")
SOON = timedelta(seconds=1)


@pytest.fixture
def client(state_url: str, tmp_path: Path) -> Iterator[Client]:
    connect(state_url).server().flushall()
    settings = Settings(state_url=state_url, broker_url=state_url, max_open=2)
    with Client(settings) as client:
        yield client


def put(number: int, op_id: str = "") -> PutObject:
    payload = InlinePayload(data=b"x")
    return PutObject(
        **PLACE.fields, key=f"k{number}", payload=payload, op_id=op_id or f"op{number}"
    )


def test_files_that_are_refused_say_so(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(4):
        (folder / f"f{number}").write_text(str(number))
    stored = list(store_files(client, PLACE, files_below(folder), timeout=SOON))
    # No worker runs: two are accepted and have no outcome, for the others there is no room.
    codes = [item.error.code if item.error else None for item in stored]
    assert codes == ["OUTCOME_PENDING", "OUTCOME_PENDING", "RATE_LIMITED", "RATE_LIMITED"]
    [told] = {item.error.tenant_id for item in stored if item.error}
    assert told == PLACE.tenant_id


def test_a_reused_op_id_is_told_in_its_place_and_the_others_go_on(client: Client) -> None:
    client.submit(put(9, "op1"))
    work = [Work(number, put(number), 1) for number in (1, 2)]
    ends = list(run_all(client, work, timeout=SOON))
    assert [(end.item, end.error.code if end.error else None) for end in ends] == [
        (1, "OP_ID_REUSED"),
        (2, "OUTCOME_PENDING"),
    ]


def test_what_finds_no_room_comes_again_before_what_stands_behind_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[str] = []
    accept = Parcels.accept

    def watch(self: Parcels, intents):  # type: ignore[no-untyped-def]
        answer = accept(self, intents)
        accepted.extend(
            intent.command.subject
            for intent, receipt in zip(intents, answer.receipts, strict=True)
            if receipt.acceptance.value == "new"
        )
        if len(accepted) == 2:
            # As if the two had ended.
            client.state.server().flushall()
        return answer

    monkeypatch.setattr(Parcels, "accept", watch)
    monkeypatch.setattr("signalbox.producers.bulk.bounded_run.AGAIN_SECONDS", 0.0)
    work = [Work(number, put(number), 1) for number in range(4)]
    list(run_all(client, work, Pace(batch=3), timeout=SOON))
    assert accepted == ["k0", "k1", "k2", "k3"]


def test_a_ledger_that_is_away_when_it_begins_is_told_at_once() -> None:
    away = Settings(state_url=f"redis://127.0.0.1:{free_port(0)}/0")
    with Client(away) as client, pytest.raises(StateUnavailable):
        list(run_all(client, [Work(0, put(0), 1)]))
