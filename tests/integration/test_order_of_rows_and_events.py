"""Writes on one row, and events of one stream, take effect in the order of their acceptance."""

from __future__ import annotations

import random

import pytest

from signalbox.commands.event_stream import AppendEvent, Event, ReadEvents
from signalbox.commands.model import Command
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import DeleteRow, GetRow, UpsertRow
from signalbox.producers.client.client import Client
from tests.integration.conftest import TIMEOUT, RunningStack
from tests.integration.test_wire_contract import Foreign, outcome_of
from tests.size import size

TENANT = "t_sequence"
ROWS, ROUNDS, EVENTS = 10, size(60, 150), 500


@pytest.fixture(scope="module")
def routed(four_workers: RunningStack) -> RunningStack:
    for kind in (ResourceKind.TABULAR_STORE, ResourceKind.EVENT_STREAM):
        four_workers.route_to_folder(TENANT, kind=kind)
    return four_workers


def upsert(key: str, number: int) -> UpsertRow:
    return UpsertRow(tenant_id=TENANT, env="dev", table_name="t", key=key, data={"number": number})


def append(stream: str, number: int, **more: str) -> AppendEvent:
    event = Event(type="counted", data={"number": number})
    return AppendEvent(tenant_id=TENANT, env="dev", stream=stream, event=event, **more)


def test_a_row_ends_as_its_last_accepted_command_says(routed: RunningStack) -> None:
    chooser = random.Random(7)
    last: dict[str, int | None] = {}
    with routed.client() as client:
        submissions = []
        for number in range(ROUNDS):
            run: list[Command] = []
            for _ in range(chooser.choice([1, 1, 3, 20])):
                key = f"row-{chooser.randrange(ROWS)}"
                run += [
                    upsert(key, number),
                    DeleteRow(tenant_id=TENANT, env="dev", table_name="t", key=key),
                ]
                last[key] = None
                if chooser.random() < 0.7:
                    run.append(upsert(key, -number))
                    last[key] = -number
            submissions += client.submit_many(run)
        outcomes = client.wait(submissions, TIMEOUT)
        assert [o for o in outcomes if o is None or o.error] == []
        assert {key: _number(client, key) for key in last} == last


def test_many_events_of_one_submit_have_the_versions_of_their_order(routed: RunningStack) -> None:
    with routed.client() as client:
        submissions = client.submit_many(append("submitted", n) for n in range(EVENTS))
        outcomes = client.wait(submissions, TIMEOUT)
        versions = [outcome.unwrap()["version"] for outcome in outcomes if outcome]
        assert versions == list(range(1, EVENTS + 1))
        _assert_counted(client, "submitted")


def test_many_events_of_one_message_have_the_versions_of_their_order(routed: RunningStack) -> None:
    commands = [append("sent", n, op_id=f"sent-{n}") for n in range(EVENTS)]
    documents = [command.model_dump(mode="json") for command in commands]
    Foreign(routed.settings.broker_url).send("commands.batch", {"commands": documents})
    with routed.client() as client:
        outcome_of(client, commands[-1].ref)
        outcomes = client.ledger.outcomes([command.ref for command in commands])
        versions = [outcome.unwrap()["version"] for outcome in outcomes if outcome]
        assert versions == list(range(1, EVENTS + 1))
        _assert_counted(client, "sent")


def _assert_counted(client: Client, stream: str) -> None:
    read = ReadEvents(tenant_id=TENANT, env="dev", stream=stream, limit=1000)
    events = client.run_outcome(read, TIMEOUT).unwrap()["events"]
    assert [event["data"]["number"] for event in events] == list(range(EVENTS))


def _number(client: Client, key: str) -> int | None:
    outcome = client.run_outcome(
        GetRow(tenant_id=TENANT, env="dev", table_name="t", key=key), TIMEOUT
    )
    if outcome.error is not None:
        assert outcome.error.code == "NOT_FOUND"
        return None
    number: int = outcome.unwrap()["data"]["number"]
    return number
