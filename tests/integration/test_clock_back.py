"""The state server's clock is set back by an hour: what is due by the old one does not wait for it.

A server's clock cannot be set by a test, so what it noted is set ahead: exactly what a server
would hold whose clock was an hour ahead until now.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from signalbox.commands.ledger import due_check
from signalbox.commands.ledger.due_check import DueCheck
from signalbox.commands.ledger.entry import Action, Claimed, Finish, Intent, Ticket
from signalbox.commands.ledger.lease import Leases
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.reader import FAR
from signalbox.commands.ledger.shard import USUAL, Shards
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.workers.maintenance.election import Election
from tests.integration.conftest import object_scope, wait_until

HOUR_MS = 3_600_000
SHARD = Shards(USUAL).shard("t_a", "dev")
SETTINGS = Settings(
    lease=timedelta(seconds=1), publish_grace=timedelta(seconds=1), retry_delay=timedelta(seconds=1)
)


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def ledger(client: State) -> Ledger:
    return Ledger(client, SETTINGS)


def put(key: str) -> PutObject:
    return PutObject(tenant_id="t_a", env="dev", key=key, payload=InlinePayload(data=b"x"))


def claim(ledger: Ledger, *commands: Command) -> list[Claimed]:
    tickets = [Ticket(c.ref, c.op) for c in commands]
    return ledger.claim(tickets, token=uuid.uuid4().hex, worker="w").claimed


def set_clock_back(client: State) -> None:
    """By an hour, seen from what the shard holds."""
    client.server().hincrby(f"{SHARD}:era", "at", HOUR_MS)
    dues: Any = client.server().zrange(f"{SHARD}:due", 0, -1, withscores=True)
    for name, score in dues:
        if score < FAR:
            client.server().zincrby(f"{SHARD}:due", HOUR_MS, name)
    for key in client.server().scan_iter(match=f"{SHARD}:op:*"):
        for field in ("until", "nb"):
            value: Any = client.server().hget(key, field)
            if int(value or 0) > 0:
                client.server().hincrby(key, field, HOUR_MS)


def test_waits_and_leases_by_the_old_clock_end_when_they_should(
    client: State, ledger: Ledger
) -> None:
    sent, taken, tried = commands = [put("a"), put("b"), put("c")]
    ledger.submit([Intent(c, "q") for c in commands])
    claim(ledger, taken)
    [again] = claim(ledger, tried)
    ledger.finish(
        again.token, [Finish(tried.ref, again.token, Action.RETRY, delay=timedelta(seconds=1))]
    )
    set_clock_back(client)
    woken: set[str] = set()

    def all_woken() -> bool:
        woken.update(wake.ticket.ref for wake in ledger.due().wakes)
        return woken == {c.ref for c in commands}

    wait_until(all_woken, "all are due")
    assert {c.command.ref: c.attempt for c in claim(ledger, *commands)} == {
        sent.ref: 1,
        taken.ref: 2,
        tried.ref: 2,
    }


def test_a_lease_that_began_after_the_step_is_as_long_as_any(client: State, ledger: Ledger) -> None:
    long = Ledger(client, Settings(lease=timedelta(minutes=1)))
    early, late = put("a"), put("b")
    long.submit([Intent(early, "q"), Intent(late, "q")])
    claim(long, early)
    set_clock_back(client)
    # The claim itself finds the step: were it found later, its lease would seem over at once.
    claim(long, late)
    assert claim(ledger, early, late) == []
    leases = Leases(client, object_scope("t_a"))
    assert {held.ref for held in leases.still(leases.held())} == {early.ref, late.ref}
    assert ledger.totals()["overdue"] == 0
    record = ledger.records([late.ref])[0]
    assert record is not None
    now: Any = client.server().time()
    assert abs(record.accepted_at.timestamp() - now[0]) < HOUR_MS / 2000, "people see the true time"


def test_a_leader_that_died_before_the_step_is_followed_at_once(client: State) -> None:
    dead, other = Election(client, "t", "dead"), Election(client, "t", "other")
    assert dead.leads()
    assert not other.leads()
    client.server().pexpire("signalbox:t", HOUR_MS)
    assert other.leads()
    assert not dead.leads()


def of_an_hour_ahead(client: State, ledger: Ledger) -> PutObject:
    """Submit something where the ledger's time is an hour ahead of its server's."""
    client.server().hset(f"{SHARD}:era", "ahead", HOUR_MS)
    command = put("a")
    ledger.submit([Intent(command, "q")])
    return command


def it_was_the_servers_own(client: State) -> None:
    """As if the server's clock had been ahead, and is set back now; no script has run since."""
    at: Any = client.server().hget(f"{SHARD}:era", "at")
    client.server().hset(
        f"{SHARD}:era", "at", int(at or client.server().time()[0] * 1000) + HOUR_MS
    )
    client.server().hset(f"{SHARD}:era", "ahead", 0)


def woken_by(look: DueCheck, ledger: Ledger) -> set[str]:
    return {wake.ticket.ref for wake in ledger.due(shards=look.shards()).wakes}


@pytest.mark.parametrize("looked_before", [True, False], ids=["leads on", "leads anew"])
def test_a_look_for_what_is_due_finds_it_although_nothing_else_ran_since_the_step(
    client: State, ledger: Ledger, looked_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_check, "CLOCK_SECONDS", 0.0)
    command = of_an_hour_ahead(client, ledger)
    look = DueCheck(client, held_ms=1000)
    if looked_before:
        look.shards()
        look.shards()
    it_was_the_servers_own(client)
    wait_until(lambda: command.ref in woken_by(look, ledger), "it is woken")
