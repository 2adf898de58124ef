"""How many commands of a scope are on the queue: the others wait in the ledger, and go on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.commands.ledger.entry import Acceptance, Action, Intent, Ticket, Wake
from signalbox.commands.ledger.ledger import CROWDED_SHARE, Ledger
from signalbox.commands.model import Command
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.commands.tabular_store import UpsertRow
from tests.integration.conftest import TIMEOUT, start_stack, wait_until
from tests.integration.test_ledger import done, put

WINDOW = 16
GRACE = timedelta(milliseconds=200)


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def ledger(client: State) -> Ledger:
    return Ledger(client, Settings(tenant_window=WINDOW, publish_grace=GRACE))


def submit(ledger: Ledger, commands: Sequence[Command]) -> list[Acceptance]:
    receipts = []
    for start in range(0, len(commands), 30):
        receipts += ledger.submit([Intent(c, "q") for c in commands[start : start + 30]])
    return [receipt.acceptance for receipt in receipts]


def run(
    ledger: Ledger, tickets: Sequence[Ticket], crowded: bool = False, action: Action = Action.DONE
) -> list[Wake]:
    """Claim and finish them; what is woken by that."""
    token = uuid.uuid4().hex
    claims = ledger.claim(tickets, token=token, worker="w")
    assert len(claims.claimed) == len(tickets)
    finishes = [done(item, action) for item in claims.claimed]
    return ledger.finish(token, finishes, crowded=crowded).wakes


def tickets_of(commands: Sequence[Command]) -> list[Ticket]:
    return [Ticket(command.ref, command.op) for command in commands]


def test_what_is_over_the_window_is_held_and_goes_on_in_order(ledger: Ledger) -> None:
    commands = [put(f"k{n}") for n in range(100)]
    expected = [Acceptance.NEW] * WINDOW + [Acceptance.HELD] * (100 - WINDOW)
    assert submit(ledger, commands) == expected
    assert (ledger.totals()["open"], ledger.totals()["held"]) == (100, 100 - WINDOW)
    refs = [command.ref for command in commands]
    ran: list[str] = []
    waiting = tickets_of(commands[:WINDOW])
    while waiting:
        part, waiting = waiting[:5], waiting[5:]
        ran += [ticket.ref for ticket in part]
        woken = run(ledger, part)
        assert all(wake.queue == "q" for wake in woken)
        waiting += [wake.ticket for wake in woken]
        assert len(waiting) <= WINDOW
    assert ran == refs
    assert (ledger.totals()["open"], ledger.totals()["held"]) == (0, 0)


def test_dead_letters_make_room_too(ledger: Ledger) -> None:
    commands = [put(f"k{n}") for n in range(WINDOW + 4)]
    submit(ledger, commands)
    woken = run(ledger, tickets_of(commands[:WINDOW]), action=Action.DEAD)
    assert [wake.ticket.ref for wake in woken] == [command.ref for command in commands[WINDOW:]]


def test_beside_other_tenants_the_window_is_smaller(ledger: Ledger) -> None:
    commands = [put(f"k{n}") for n in range(100)]
    submit(ledger, commands)
    few = WINDOW // CROWDED_SHARE
    # One is on the queue still, so that with the new ones it is as many as there may be.
    assert len(run(ledger, tickets_of(commands[: WINDOW - 1]), crowded=True)) == few - 1
    assert len(run(ledger, tickets_of(commands[WINDOW - 1 : WINDOW]))) == WINDOW - few + 1


def test_each_kind_tenant_and_env_has_a_window_of_its_own(ledger: Ledger) -> None:
    submit(ledger, [put(f"k{n}") for n in range(WINDOW + 1)])
    other = put("k", tenant="t_b")
    elsewhere = put("k").model_copy(update={"env": "prod"})
    row = UpsertRow(tenant_id="t_a", env="dev", table_name="t", key="r", data={})
    assert submit(ledger, [other, elsewhere, row]) == [Acceptance.NEW] * 3


def test_one_that_is_submitted_again_is_known_and_held_once(ledger: Ledger) -> None:
    commands = [put(f"k{n}") for n in range(WINDOW + 2)]
    submit(ledger, commands)
    assert submit(ledger, commands[-1:]) == [Acceptance.KNOWN]
    assert len(run(ledger, tickets_of(commands[:WINDOW]))) == 2


def test_what_is_held_behind_commands_that_do_not_end_goes_on_all_the_same(ledger: Ledger) -> None:
    commands = [put(f"k{n}") for n in range(WINDOW + 4)]
    submit(ledger, commands)
    ledger.claim(tickets_of(commands[:WINDOW]), token="t", worker="w")
    woken: list[str] = []

    def all_woken() -> bool:
        woken.extend(wake.ticket.ref for wake in ledger.due().wakes)
        return len(woken) >= 4

    wait_until(all_woken, "what is held goes on")
    assert woken == [command.ref for command in commands[WINDOW:]]


def test_without_a_window_nothing_is_held(client: State) -> None:
    ledger = Ledger(client, Settings(tenant_window=0))
    assert submit(ledger, [put(f"k{n}") for n in range(1000)]) == [Acceptance.NEW] * 1000


def test_a_backlog_of_one_key_comes_through_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_TENANT_WINDOW", "20")
    with start_stack(tmp_path / "stack", workers=2) as running, running.client() as client:
        running.route_to_folder("t_a")
        submitted = client.submit_many(put(f"k{n % 3}", b"%d" % n) for n in range(600))
        assert any(s.receipt.acceptance is Acceptance.HELD for s in submitted)
        outcomes = client.wait(submitted, TIMEOUT)
        assert all(outcome is not None and outcome.error is None for outcome in outcomes)
        ended = client.ledger.records([s.receipt.ref for s in submitted])
        for key in range(3):
            places = [record.ended for record in ended[key::3] if record and record.ended]
            assert places == sorted(places)
            assert len(places) == 200
