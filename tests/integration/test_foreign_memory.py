"""Messages without our client that a broker delivers again when their outcome is long gone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from signalbox.commands.ledger.dead import DeadLetters
from signalbox.commands.ledger.entry import Action, Claims, Finish, Intent
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.model import Command
from signalbox.commands.object_store import HeadObject, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from tests.integration.conftest import wait_until

GONE = timedelta(milliseconds=1)
SETTINGS = Settings(outcome_retention=GONE, read_retention=GONE)


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def ledger(client: State) -> Ledger:
    return Ledger(client, SETTINGS)


def put(content: bytes) -> PutObject:
    payload = InlinePayload(data=content)
    return PutObject(tenant_id="t_a", env="dev", key="k", payload=payload, op_id="nightly")


def deliver(ledger: Ledger, command: Command) -> Claims:
    """As a worker takes a message that holds the whole command."""
    return ledger.claim([], carried=[Intent(command, "q")], token=uuid.uuid4().hex, worker="w")


def run(ledger: Ledger, command: Command, action: Action = Action.DONE) -> None:
    [claimed] = deliver(ledger, command).claimed
    ledger.finish(claimed.token, [Finish(command.ref, claimed.token, action)])
    if action is Action.DONE:
        wait_until(lambda: ledger.records([command.ref]) == [None], "its outcome is gone")


def test_a_write_delivered_again_when_its_outcome_is_gone_does_not_run(ledger: Ledger) -> None:
    run(ledger, put(b"old"))
    run(ledger, put(b"newer"))
    again = deliver(ledger, put(b"old"))
    assert (again.claimed, again.skipped) == ([], {"gone": 1})
    assert deliver(ledger, put(b"another")).claimed, "the op_id may be used for other content"


def test_reads_are_asked_anew(ledger: Ledger) -> None:
    head = HeadObject(tenant_id="t_a", env="dev", key="k", op_id="nightly")
    run(ledger, head)
    assert deliver(ledger, head).claimed


def test_without_the_memory_it_runs_again(client: State) -> None:
    settings = SETTINGS.model_copy(update={"foreign_memory": timedelta(0)})
    ledger = Ledger(client, settings)
    run(ledger, put(b"old"))
    assert deliver(ledger, put(b"old")).claimed
    assert list(client.server().scan_iter(match="*:met:*")) == []


def test_what_was_purged_runs_when_it_is_sent_again(client: State, ledger: Ledger) -> None:
    command = put(b"old")
    run(ledger, command, Action.DEAD)
    assert DeadLetters(client, SETTINGS).purge([command.ref]) == [command.ref]
    assert deliver(ledger, command).claimed


def test_it_is_forgotten_some_day(client: State) -> None:
    memory = timedelta(milliseconds=200)
    ledger = Ledger(client, SETTINGS.model_copy(update={"foreign_memory": memory}))
    run(ledger, put(b"old"))
    wait_until(lambda: not list(client.server().scan_iter(match="*:met:*")), "it is forgotten")
    assert deliver(ledger, put(b"old")).claimed
