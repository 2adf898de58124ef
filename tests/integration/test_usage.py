"""Use: each command counted once, however often it was tried, by month, and counted anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.commands.ledger.entry import Action, Finish, Intent, Ticket
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.usage import Usage, UsageBook, this_month
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from tests.integration import command_line
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope, start_stack
from tests.integration.operating import SCOPE, give_terms


def put(tenant: str, number: int) -> PutObject:
    payload = InlinePayload(data=b"x" * 10)
    return PutObject(tenant_id=tenant, env="dev", key=f"k{number:03}", payload=payload)


def test_writes_are_counted_once_though_a_worker_died_between_effect_and_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = "t_count"
    monkeypatch.setenv("SIGNALBOX_FAULTS", "effect.after=kill@2")
    with (
        start_stack(tmp_path / "stack", workers=1, kills_workers=True) as running,
        running.client() as client,
    ):
        monkeypatch.delenv("SIGNALBOX_FAULTS")
        running.route_to_folder(tenant)
        give_terms(running.registry(), tenant, quotas={"objects": 1000})
        submitted = client.submit_many(put(tenant, number) for number in range(50))
        client.wait(submitted, TIMEOUT)  # taken, and ended, by themselves
        submitted += client.submit_many(put(tenant, number) for number in range(50, 250))
        running.stack.start_worker()
        outcomes = client.wait(submitted, TIMEOUT)
        assert [o for o in outcomes if o is None or o.error] == []
        attempts = {outcome.attempt for outcome in outcomes if outcome}
        assert max(attempts) > 1, "nobody died in between"
        client.run(GetObject(tenant_id=tenant, env="dev", key="k001"))
        running.wait_until_idle(client)
        book, scope = UsageBook(client.state), object_scope(tenant)
        [use] = book.read([scope])
        assert (use.writes, use.reads, use.failures) == (250, 1, 0)
        assert (use.bytes_in, use.bytes_out) == (2500, 10)
        # What the dead worker had stored was found stored, so it is not known what it added.
        assert use.objects is not None
        assert use.objects <= 250

        book.recount(scope, 0, 0)
        command_line.run("routes", "check", "object_store", "-t", tenant, "-e", "dev", "--recount")
        [use] = book.read([scope])
        assert (use.objects, use.bytes) == (250, 2500)


def test_a_write_that_failed_is_counted_as_a_failure_without_bytes(
    two_workers: RunningStack,
) -> None:
    tenant = "t_fails"
    folder = two_workers.data / "broken"
    folder.write_text("a file where a folder should be")
    two_workers.route_to_folder(tenant, "broken")
    with two_workers.client() as client:
        outcome = client.run_outcome(put(tenant, 1), TIMEOUT)
        assert outcome.error is not None
        [use] = UsageBook(client.state).read([object_scope(tenant)])
    assert (use.writes, use.failures, use.bytes_in) == (1, 1, 0)
    assert use.objects in (None, 0)


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    state = connect(state_url)
    state.server().flushall()
    yield state
    state.close()


def finish(ledger: Ledger, command: PutObject, action: Action, token: str, usage: Usage) -> None:
    outcome = Outcome.model_validate(
        {
            "op_id": command.op_id,
            "op": command.op,
            "tenant_id": command.tenant_id,
            "env": command.env,
            "status": Status.DONE,
            "seq": 1,
            "attempt": 1,
            "worker": "w",
            "claimed_at": "2026-01-01T00:00:00Z",
            "duration_ms": 1.0,
        }
    )
    ledger.finish(token, [Finish(command.ref, token, action, outcome, usage=usage)])


def test_a_finish_that_is_repeated_or_too_late_counts_nothing(state: State, state_url: str) -> None:
    ledger, book = Ledger(state, Settings(state_url=state_url)), UsageBook(state)
    command = put("t_a", 1)
    ledger.submit([Intent(command, "q")])
    ledger.claim([Ticket(command.ref, command.op)], token="mine", worker="w")
    usage = Usage(SCOPE.field, writes=1, bytes_in=10, objects=1, bytes=10, health="ok")
    finish(ledger, command, Action.DONE, "another's", usage)
    assert book.read([SCOPE])[0].writes == 0
    for _ in range(3):
        finish(ledger, command, Action.DONE, "mine", usage)
    [use] = book.read([SCOPE])
    assert (use.writes, use.bytes_in, use.objects, use.bytes, use.health) == (1, 10, 1, 10, "ok")


def test_a_month_begins_at_nothing_and_what_is_stored_goes_on(
    state: State, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, book = Ledger(state, Settings(state_url=state_url)), UsageBook(state)
    usage = Usage(SCOPE.field, writes=1, bytes_in=10, objects=1, bytes=10)
    for number, month in enumerate(["2026-01", "2026-01", "2026-02"]):
        monkeypatch.setattr(
            "signalbox.commands.ledger.ledger.this_month", lambda month=month: month
        )
        command = put("t_a", number)
        ledger.submit([Intent(command, "q")])
        ledger.claim([Ticket(command.ref, command.op)], token="t", worker="w")
        finish(ledger, command, Action.DONE, "t", usage)
    months = {month: book.read([SCOPE], month)[0] for month in ("2026-01", "2026-02", "2026-03")}
    assert {month: use.writes for month, use in months.items()} == {
        "2026-01": 2,
        "2026-02": 1,
        "2026-03": 0,
    }
    assert {use.objects for use in months.values()} == {3}
    assert this_month() not in months or book.read([SCOPE])[0].objects == 3
    [key] = state.server().keys("*:use:*:2026-01")
    assert 0 < state.server().ttl(key) <= 400 * 86400
