"""What the reconciler finds: what nobody else would wake, soon, whatever waits for something."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from signalbox.commands.ledger.entry import Acceptance, Intent, Ticket
from signalbox.commands.ledger.ledger import WITHOUT_WINDOW, Ledger
from signalbox.commands.ledger.rate_queue import RateQueues
from signalbox.commands.ledger.shard import USUAL, Shards
from signalbox.commands.model import Command
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.producers.broker.publisher import make_app
from signalbox.workers.maintenance.reconciler import Reconciler
from tests.integration.conftest import wait_until
from tests.integration.test_ledger import done, put

GRACE = timedelta(milliseconds=100)
BUSY = "t_ant"
SHARDS = Shards(USUAL)
QUIET = next(
    tenant
    for tenant in (f"t_dog{n}" for n in range(1000))
    if SHARDS.shard(tenant, "dev") == SHARDS.shard(BUSY, "dev")
)
"""Of one shard."""


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def ledger(client: State) -> Ledger:
    return Ledger(client, Settings(tenant_window=0, publish_grace=GRACE))


def submit(ledger: Ledger, commands: Sequence[Command]) -> list[Acceptance]:
    return [r.acceptance for r in ledger.submit([Intent(c, "q") for c in commands])]


def claim(ledger: Ledger, commands: Sequence[Command], token: str = "") -> int:
    tickets = [Ticket(command.ref, command.op) for command in commands]
    return len(ledger.claim(tickets, token=token or uuid.uuid4().hex, worker="w").claimed)


def behind_one_key(ledger: Ledger, count: int) -> list[Command]:
    """The first runs; all others wait for it."""
    line: list[Command] = [put("hot", tenant=BUSY) for _ in range(count)]
    submit(ledger, line)
    assert claim(ledger, line[:1], "first") == 1
    return line


def turns_until_woken(ledger: Ledger, command: Command, limit: int) -> int:
    """Looks of at most so many commands, from the first after its due time on."""
    found: list[int] = []

    def woken() -> bool:
        due = ledger.due(limit)
        found.append(len(due.wakes) + due.more)
        return command.ref in [wake.ticket.ref for wake in due.wakes]

    wait_until(woken, "it is woken")
    return len([one for one in found if one])


@pytest.mark.parametrize("turned_away", [True, False], ids=["turned away", "wake-ups lost"])
def test_recovery_of_a_quiet_tenant_does_not_wait_behind_a_hot_key(
    ledger: Ledger, turned_away: bool
) -> None:
    line = behind_one_key(ledger, 400)
    if turned_away:
        assert claim(ledger, line[1:]) == 0
    else:
        # Each is looked at once, and out of the way then.
        wait_until(lambda: ledger.totals()["overdue"] == 399, "they are due")
        while ledger.due(20).more:
            pass
    lost = put("lost", tenant=QUIET)
    submit(ledger, [lost])
    assert turns_until_woken(ledger, lost, limit=20) == 1


def test_what_waits_behind_a_key_keeps_a_due_time_and_is_handed_over(ledger: Ledger) -> None:
    line = behind_one_key(ledger, 50)
    claim(ledger, line[1:])
    totals = ledger.totals()
    assert (totals["open"], totals["held"]) == (50, 0)
    [first] = ledger.claim([Ticket(line[0].ref, line[0].op)], token="first", worker="w").claimed
    woken = ledger.finish("first", [done(first)]).wakes
    assert [wake.ticket.ref for wake in woken] == [command.ref for command in line[1:]]


def test_a_lost_hand_over_is_found_by_its_own_due_time(ledger: Ledger) -> None:
    line = behind_one_key(ledger, 3)
    claim(ledger, line[1:])
    [first] = ledger.claim([Ticket(line[0].ref, line[0].op)], token="first", worker="w").claimed
    ledger.finish("first", [done(first)])  # and the worker dies before it publishes
    assert turns_until_woken(ledger, line[1], limit=20) == 1


def test_a_look_says_whether_there_was_more(client: State, ledger: Ledger) -> None:
    submit(ledger, [put(f"k{number}") for number in range(45)])
    wait_until(lambda: ledger.totals()["overdue"] == 45, "they are due")
    # What it finds is due again after a grace that no machine takes for three looks.
    looking = Ledger(client, Settings(tenant_window=0, publish_grace=timedelta(hours=1)))
    looks = [looking.due(20) for _ in range(3)]
    assert [(len(look.wakes), look.more) for look in looks] == [(20, True), (20, True), (5, False)]


def test_without_a_window_what_was_held_goes_on_at_once_in_order(client: State) -> None:
    windowed = Ledger(client, Settings(tenant_window=10))
    ledger = Ledger(client, Settings(tenant_window=0))
    held = [put(f"k{number}") for number in range(WITHOUT_WINDOW + 110)]
    submit(windowed, held)
    assert ledger.totals()["held"] == WITHOUT_WINDOW + 100
    looks = [ledger.due() for _ in range(2)]
    assert looks[0].more
    woken = [wake.ticket.ref for look in looks for wake in look.wakes]
    # Those on the queue are not due so soon; the others do not wait for their ends.
    assert woken == [command.ref for command in held[10:]]
    assert ledger.totals()["held"] == 0


def test_a_reconciler_goes_on_while_there_is_more(state_url: str, ledger: Ledger) -> None:
    submit(ledger, [put(f"k{number}") for number in range(450)])
    settings = Settings(
        state_url=state_url, broker_url="memory://", publish_grace=timedelta(minutes=1)
    )
    reconciler = Reconciler(make_app(settings), settings, "r")
    wait_until(lambda: ledger.totals()["overdue"] == 450, "they are due")
    assert [reconciler.run_once() for _ in range(3)] == [True, True, False]
    assert ledger.totals()["overdue"] == 0


def test_a_group_stays_small_where_one_has_the_name_of_an_earlier_group(
    client: State,
) -> None:
    """One that was claimed by another message before its group's turn keeps that group's name."""
    ledger = Ledger(client, Settings(tenant_window=0, lease=timedelta(seconds=1)))
    commands = sorted((put(f"k{number}") for number in range(11)), key=lambda each: each.ref)
    submit(ledger, commands)
    assert claim(ledger, commands) == 11
    last = commands[-1].ref
    client.server().hset(f"{SHARDS.of(last)}:op:{last}", "sg", commands[0].ref)
    wait_until(lambda: ledger.totals()["overdue"] == 11, "the leases are over")
    groups = Counter(wake.group for wake in ledger.due().wakes)
    assert sorted(groups.values()) == [1, 10]


def test_a_turn_of_the_pacer_looks_at_so_many_that_ended_and_the_next_at_more(
    client: State,
) -> None:
    scope, place = f"{BUSY}/dev/object_store", (BUSY, "dev")
    shard = SHARDS.of(f"{scope}/x")
    client.server().zadd(
        f"{shard}:line:{scope}", {f"{BUSY}/dev/{number}": number for number in range(1500)}
    )
    client.server().sadd(f"{shard}:lines", scope)
    lines, left = RateQueues(client, Settings()), []
    for _ in range(2):
        assert lines.let_go({place: ["object_store"]}, {BUSY: None}) == []
        left.append(client.server().zcard(f"{shard}:line:{scope}"))
    assert left == [500, 0]
    assert lines.waiting() == {}
