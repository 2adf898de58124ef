"""The ledger on a real Redis: acceptance, claims, order, hand-over, leases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from signalbox.commands.ledger.entry import Acceptance, Action, Claimed, Finish, Intent, Ticket
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.model import Command
from signalbox.commands.object_store import DeleteObject, HeadObject, PutObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from tests.integration.parcel_harness import HASTY, let_lease_end
from tests.integration.round_trips import round_trips

SETTINGS = Settings(lease=timedelta(hours=1), publish_grace=timedelta(hours=1), max_attempts=2)


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def ledger(client: State) -> Ledger:
    return Ledger(client, SETTINGS)


@pytest.fixture
def hasty(client: State) -> Ledger:
    """The same one, as workers see it whose leases run out soon."""
    return Ledger(client, SETTINGS.model_copy(update={"lease": HASTY}))


def put(key: str, content: bytes = b"x", tenant: str = "t_a", **more: str) -> PutObject:
    payload = InlinePayload(data=content)
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=payload, **more)


def submit(ledger: Ledger, *commands: Command) -> list[Acceptance]:
    return [r.acceptance for r in ledger.submit([Intent(c, "q") for c in commands])]


def claim(ledger: Ledger, *commands: Command, token: str = "") -> list[Claimed]:
    tickets = [Ticket(c.ref, c.op) for c in commands]
    return ledger.claim(tickets, token=token or uuid.uuid4().hex, worker="w").claimed


def done(claimed: Claimed, action: Action = Action.DONE) -> Finish:
    command = claimed.command
    outcome = Outcome(
        op_id=command.op_id,
        op=command.op,
        tenant_id=command.tenant_id,
        env=command.env,
        status=Status.DONE,
        seq=claimed.seq,
        attempt=claimed.attempt,
        worker="w",
        claimed_at=datetime.now(UTC),
        duration_ms=1.0,
    )
    return Finish(command.ref, claimed.token, action, outcome)


def test_a_known_op_id_is_accepted_once_and_another_content_is_a_conflict(ledger: Ledger) -> None:
    first = put("a", op_id="one")
    assert submit(ledger, first, first) == [Acceptance.NEW, Acceptance.KNOWN]
    assert submit(ledger, put("a", b"other", op_id="one")) == [Acceptance.CONFLICT]
    assert submit(ledger, put("a", tenant="t_b", op_id="one")) == [Acceptance.NEW]


def test_a_batch_over_many_scopes_keeps_its_receipts_in_order(ledger: Ledger) -> None:
    commands = [put(f"k{n}", tenant=f"t_{n:03}") for n in range(100)]
    receipts = ledger.submit([Intent(c, "q") for c in commands])
    assert [r.ref for r in receipts] == [c.ref for c in commands]
    assert {c.command.ref for c in claim(ledger, *commands)} == {c.ref for c in commands}


def test_a_command_is_claimed_once_but_again_by_the_same_token(ledger: Ledger) -> None:
    command = put("a")
    submit(ledger, command)
    assert len(claim(ledger, command, token="t1")) == 1
    assert claim(ledger, command, token="t2") == []
    again = claim(ledger, command, token="t1")
    assert [c.attempt for c in again] == [1]


def test_a_command_that_a_message_names_twice_runs_once_and_is_due_with_its_lease(
    ledger: Ledger, client: State
) -> None:
    write, read = put("a"), HeadObject(tenant_id="t_a", env="dev", key="a")
    submit(ledger, write, read)
    held = claim(ledger, write, read, write, read)
    assert [each.command for each in held] == [write, read]
    [due] = client.server().keys("*:due")
    ends = [client.server().zscore(due, command.ref) for command in (write, read)]
    assert len(set(ends)) == 1, ends
    assert client.server().zcard(due) == 2


def test_only_the_first_of_a_key_is_claimed_with_those_right_behind_it(ledger: Ledger) -> None:
    a, b, c = put("k", b"1"), put("k", b"2"), DeleteObject(tenant_id="t_a", env="dev", key="k")
    other = put("other")
    submit(ledger, a, b, c, other)
    assert claim(ledger, b) == []
    assert [x.command for x in claim(ledger, a, c, other)] == [a, other]


def test_a_finish_hands_the_key_over_to_those_that_were_turned_away(ledger: Ledger) -> None:
    a, b, c, late = put("k", b"1"), put("k", b"2"), put("k", b"3"), put("k", b"4")
    submit(ledger, a, b, c, late)
    [first] = claim(ledger, a)
    assert claim(ledger, b, c) == []
    finished = ledger.finish(first.token, [done(first)])
    assert [w.ticket.ref for w in finished.wakes] == [b.ref, c.ref]
    both = claim(ledger, b, c, token="t2")
    # `late` was not turned away: its own wake-up is still on the way.
    assert ledger.finish("t2", [done(x) for x in both]).wakes == []
    assert len(claim(ledger, late)) == 1


def test_a_repeated_finish_gives_the_same_answer_and_counts_once(ledger: Ledger) -> None:
    a, b = put("k", b"1"), put("k", b"2")
    submit(ledger, a, b)
    [first] = claim(ledger, a)
    claim(ledger, b)
    for _ in range(2):
        finished = ledger.finish(first.token, [done(first)])
        assert finished.refused == []
    assert ledger.totals()["done"] == 1


def test_a_lease_that_ran_out_is_taken_over_and_the_late_finish_refused(
    ledger: Ledger, hasty: Ledger
) -> None:
    command = put("a")
    submit(ledger, command)
    [old] = claim(hasty, command)
    let_lease_end(HASTY)
    [new] = claim(ledger, command)
    assert (new.attempt, new.takeover, new.seq) == (2, True, old.seq)
    assert ledger.finish(old.token, [done(old)]).refused == [command.ref]
    assert ledger.finish(new.token, [done(new)]).refused == []


def test_a_takeover_of_the_first_fences_what_its_old_holder_claimed_behind_it(
    ledger: Ledger, hasty: Ledger
) -> None:
    a, b = put("k", b"1"), put("k", b"2")
    submit(ledger, a, b)
    old = claim(hasty, a, b)
    let_lease_end(HASTY)
    claim(ledger, a)
    assert ledger.finish(old[0].token, [done(x) for x in old]).refused == [a.ref, b.ref]


def test_attempts_that_never_end_make_the_command_unrunnable(ledger: Ledger, hasty: Ledger) -> None:
    command = put("a")
    submit(ledger, command)
    for _ in range(SETTINGS.max_attempts):
        claim(hasty, command)
        let_lease_end(HASTY)
    claims = ledger.claim([Ticket(command.ref, command.op)], token="t", worker="w")
    assert claims.claimed == []
    assert [u.error.code for u in claims.unrunnable] == ["ATTEMPTS_EXHAUSTED"]


def test_a_dead_letter_keeps_its_outcome_and_hands_its_key_over(ledger: Ledger) -> None:
    a, b = put("k", b"1"), put("k", b"2")
    submit(ledger, a, b)
    [first] = claim(ledger, a)
    claim(ledger, b)
    finished = ledger.finish(first.token, [done(first, Action.DEAD)])
    assert [w.ticket.ref for w in finished.wakes] == [b.ref]
    assert ledger.totals()["dead_letters"] == 1
    assert ledger.outcomes([a.ref])[0] is not None


def test_a_retry_waits_for_its_delay_and_a_release_costs_no_attempt(
    ledger: Ledger, client: State
) -> None:
    command = put("a")
    submit(ledger, command)
    [held] = claim(ledger, command)
    ledger.finish(held.token, [Finish(command.ref, held.token, Action.RELEASE)])
    [held] = claim(ledger, command)
    assert held.attempt == 1
    delay = timedelta(seconds=30)
    ledger.finish(held.token, [Finish(command.ref, held.token, Action.RETRY, delay=delay)])
    assert claim(ledger, command) == []


def test_every_open_command_has_a_due_time_and_no_closed_one(ledger: Ledger) -> None:
    commands = [put(f"k{n}") for n in range(5)]
    submit(ledger, *commands)
    assert ledger.totals()["open"] == 5
    held = claim(ledger, *commands, token="t")
    assert ledger.totals()["open"] == 5
    ledger.finish("t", [done(c) for c in held])
    totals = ledger.totals()
    assert (totals["open"], totals["running"], totals["done"]) == (0, 0, 5)


def test_due_wakes_the_head_of_a_key_and_leaves_those_behind_to_the_hand_over(
    client: State,
) -> None:
    ledger = Ledger(client, SETTINGS.model_copy(update={"publish_grace": timedelta(0)}))
    a, b = put("k", b"1"), put("k", b"2")
    submit(ledger, a, b)
    assert [w.ticket.ref for w in ledger.due().wakes] == [a.ref]
    [first] = claim(ledger, a)
    assert [w.ticket.ref for w in ledger.finish(first.token, [done(first)]).wakes] == [b.ref]


def test_what_a_dead_worker_held_of_one_key_is_woken_together_behind_the_first(
    ledger: Ledger, hasty: Ledger
) -> None:
    a, b, c = put("k", b"1"), put("k", b"2"), put("k", b"3")
    submit(ledger, a, b, c)
    claim(hasty, a, b, c)
    let_lease_end(HASTY)
    assert [w.ticket.ref for w in ledger.due().wakes] == [a.ref]
    [first] = claim(ledger, a)
    assert [w.ticket.ref for w in ledger.finish(first.token, [done(first)]).wakes] == [b.ref, c.ref]
    assert [x.command for x in claim(ledger, b, c)] == [b, c]


def test_a_carried_command_becomes_an_entry_at_its_claim_and_runs_once(ledger: Ledger) -> None:
    command = put("a")
    claims = ledger.claim([], carried=[Intent(command, "q")], token="t1", worker="w")
    assert [c.command for c in claims.claimed] == [command]
    again = ledger.claim([], carried=[Intent(command, "q")], token="t2", worker="w")
    assert (again.claimed, again.skipped) == ([], {"busy": 1})


def test_an_unknown_ticket_is_gone_not_run(ledger: Ledger) -> None:
    claims = ledger.claim([Ticket("t_a/dev/none", "object_store.put")], token="t", worker="w")
    assert claims.skipped == {"gone": 1}


def test_reads_are_not_ordered(ledger: Ledger) -> None:
    reads = [HeadObject(tenant_id="t_a", env="dev", key="k") for _ in range(3)]
    submit(ledger, *reads)
    assert [c.command for c in claim(ledger, reads[2], reads[0])] == [reads[2], reads[0]]


def test_a_claim_carries_the_fence_of_each_route_it_names(ledger: Ledger, client: State) -> None:
    client.server().hset("{rt}:fence", "object_store/t_a/dev", "7-abc")
    mine, other = put("a"), put("a", tenant="t_b")
    submit(ledger, mine, other)
    fences = {c.command.tenant_id: c.fence for c in claim(ledger, mine, other)}
    assert fences == {"t_a": "7-abc", "t_b": None}


def test_each_call_is_one_round_trip_for_many_commands(ledger: Ledger) -> None:
    warm = put("warm")
    submit(ledger, warm)
    [held] = claim(ledger, warm)
    ledger.finish(held.token, [done(held)])  # every script is loaded now
    with round_trips() as trips:
        commands = [put(f"k{n}", tenant=f"t_{n % 7}") for n in range(200)]
        submit(ledger, *commands)
        claimed = claim(ledger, *commands, token="t")
        ledger.finish("t", [done(c) for c in claimed])
    assert len(claimed) == 200
    assert len(trips) == 3


def test_a_lease_moves_on_for_who_holds_it_alone(ledger: Ledger, hasty: Ledger) -> None:
    first, second = put("a"), put("b")
    submit(ledger, first, second)
    held, lapsing = claim(hasty, first), claim(hasty, second)
    assert ledger.renew(first.ref, held[0].token, 3600)
    assert not ledger.renew(first.ref, "another", 3600)
    let_lease_end(HASTY)
    # What was due with them is the one whose lease was not moved.
    assert claim(ledger, first) == []
    assert {wake.ticket.ref for wake in ledger.due().wakes} == {second.ref}
    assert [again.attempt for again in claim(ledger, second)] == [2]
    assert not ledger.renew(second.ref, lapsing[0].token, 3600)
    ledger.finish(held[0].token, [done(held[0])])
    assert not ledger.renew(first.ref, held[0].token, 3600)
