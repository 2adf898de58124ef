"""A switch and what was claimed before it: where its effect lands, and when that is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from signalbox.commands.error import OutcomePending
from signalbox.commands.ledger import lease
from signalbox.commands.ledger.entry import Action, Finish, Intent, Ticket
from signalbox.commands.ledger.lease import Leases
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from tests.integration import conftest
from tests.integration.command_line import done, here
from tests.integration.conftest import TIMEOUT, object_scope, start_stack, wait_until

TENANT = "t_drain"
HERE = ["object_store", "-t", TENANT, "-e", "dev"]


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


def put(key: str, tenant: str = TENANT) -> PutObject:
    payload = InlinePayload(data=key.encode())
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=payload)


def claim(ledger: Ledger, command: PutObject, token: str) -> None:
    ledger.submit([Intent(command, "q")])
    assert ledger.claim([Ticket(command.ref, command.op)], token=token, worker="w").claimed


def test_drained_is_what_ended_or_has_no_lease_any_more(
    client: State, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LATE_MS", 0)
    leases = Leases(client, object_scope(TENANT))
    ledger = Ledger(client, Settings(lease=timedelta(hours=1)))
    finished, frozen, later = put("finished"), put("frozen"), put("later")
    ledger.submit([Intent(put("queued"), "q")])
    claim(ledger, put("another tenant's", "t_other"), "o")
    claim(ledger, finished, "a")
    # Its lease is over at once, and no worker is there to take it over.
    claim(Ledger(client, Settings(lease=timedelta(0))), frozen, "b")
    before = leases.held()
    assert {each.ref for each in before} == {finished.ref, frozen.ref}
    claim(ledger, later, "c")
    wait_until(lambda: len(leases.still(before)) == 1, "the lease that ran out")
    left = leases.still(before)
    assert [each.ref for each in left] == [finished.ref]
    monkeypatch.setenv("SIGNALBOX_STATE_URL", state_url)
    told = here("routes", "drain", *HERE, "--wait", "0").exception
    assert isinstance(told, OutcomePending)
    assert told.message.startswith("2 commands")
    ledger.finish("a", [Finish(finished.ref, "a", Action.RELEASE)])
    assert leases.still(left) == []


def test_a_lease_that_ran_out_counts_for_as_long_as_a_request_may_take(
    client: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = put("frozen")
    claim(Ledger(client, Settings(lease=timedelta(0))), command, "a")
    leases = Leases(client, object_scope(TENANT))
    # Taken over meanwhile: what the former holder sent is on its way all the same.
    claim(Ledger(client, Settings(lease=timedelta(hours=1))), command, "b")
    [held] = leases.held()
    former = lease.Held(held.ref, b"a", held.until - 3_600_000)
    assert leases.still([former]) == [former]
    monkeypatch.setattr(lease, "LATE_MS", -3_600_000)
    assert leases.still([former]) == []


def test_what_was_claimed_before_a_switch_lands_on_the_former_place_before_drain_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(conftest.QUICK, "SIGNALBOX_LEASE", "60")
    monkeypatch.setenv("SIGNALBOX_FAULTS", "command.before=stop@1~slow")
    with start_stack(tmp_path, workers=1) as running, running.client() as client:
        old = running.route_to_folder(TENANT, "old")
        slow = client.submit(put("slow"))
        worker = psutil.Process(running.stack.workers[0].pid)
        wait_until(lambda: worker.status() == psutil.STATUS_STOPPED, "it has read the route")
        running.route_to_folder(TENANT, "new")
        told = here("routes", "drain", *HERE, "--wait", "0").exception
        assert isinstance(told, OutcomePending)
        worker.resume()
        assert b"nothing runs on a former route" in done("routes", "drain", *HERE)
        assert state_of(client.ledger, slow.command.ref) == "done"
        assert client.outcome(slow, TIMEOUT).route_revision == old.revision
        get = GetObject(tenant_id=TENANT, env="dev", key="slow")
        missing = client.run_outcome(get, TIMEOUT).error
        assert missing is not None
        assert missing.code == "NOT_FOUND"


def test_a_route_switched_between_effect_and_takeover_leaves_the_effect_on_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_FAULTS", "effect.after=kill@1")
    with start_stack(tmp_path, workers=1) as running, running.client() as client:
        monkeypatch.delenv("SIGNALBOX_FAULTS")
        running.route_to_folder(TENANT, "old")
        both = client.submit(put("both"))
        [worker] = running.stack.workers
        wait_until(lambda: not worker.running, "its worker died")
        new = running.route_to_folder(TENANT, "new")
        running.stack.start_worker()
        outcome = client.outcome(both, TIMEOUT)
        # What is known: it was attempted before, and where it ran in the end.
        assert (outcome.error, outcome.route_revision) == (None, new.revision)
        assert outcome.attempt == 2
        for name in ("new", "old"):
            running.route_to_folder(TENANT, name)
            client.run(GetObject(tenant_id=TENANT, env="dev", key="both"), TIMEOUT)


def state_of(ledger: Ledger, ref: str) -> str:
    [record] = ledger.records([ref])
    return record.state if record else ""
