"""Dead letters, deadlines and the limit on what is open, on real workers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signalbox.commands.error import InvalidCommand, RateLimited
from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.ledger.dead import Which
from signalbox.commands.ledger.entry import Acceptance, Burial
from signalbox.commands.ledger.usage import UsageBook
from signalbox.commands.model import Command
from signalbox.commands.object_store import GetObject, ListObjects, PutObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.payload import InlinePayload
from signalbox.commands.wire import Fault
from signalbox.producers.client.client import Client
from tests.integration.command_line import run
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope


def put(tenant: str, key: str, content: bytes = b"x", **more: Any) -> PutObject:
    payload = InlinePayload(data=content)
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=payload, **more)


def run_all(client: Client, commands: list[Command]) -> list[str]:
    outcomes = client.wait(client.submit_many(commands), TIMEOUT)
    return [o.error.code if o and o.error else (o.status.value if o else "open") for o in outcomes]


def test_a_thousand_replayed_dead_letters_are_a_thousand_effects(two_workers: RunningStack) -> None:
    tenant = "t_replayed"
    with two_workers.client() as client:
        commands: list[Command] = [put(tenant, f"k{n:04}", b"%d" % n) for n in range(1000)]
        assert set(run_all(client, commands)) == {"ROUTE_NOT_FOUND"}
        letters = list(client.dead.find(Which(tenant_id=tenant)))
        assert sorted(letter.ref for letter in letters) == sorted(c.ref for c in commands)
        two_workers.route_to_folder(tenant)
        for start in range(0, 1000, 300):
            step = letters[start : start + 300]
            # Asked twice, as by two operators: the second finds nothing dead.
            assert len(client.replay([letter.ref for letter in step]).wakes) == len(step)
            again = client.replay([letter.ref for letter in step])
            assert (again.wakes, set(again.left.values())) == ([], {"not dead"})
        two_workers.wait_until_idle(client)
        assert list(client.dead.find(Which(tenant_id=tenant))) == []
        page = client.run_outcome(ListObjects(tenant_id=tenant, env="dev")).unwrap()
        assert [entry["key"] for entry in page["objects"]] == [f"k{n:04}" for n in range(1000)]
        assert page["next_cursor"] is None
        [use] = UsageBook(client.state).read([object_scope(tenant)])
        assert (use.writes, use.objects) == (1000, 1000)
        # The op_ids are taken still: each submitted again has its outcome already.
        receipts = client.submit_many(commands)
        assert {s.receipt.acceptance for s in receipts} == {Acceptance.KNOWN}
        assert all(s.receipt.outcome and s.receipt.outcome.attempt == 2 for s in receipts)


def test_a_replayed_command_runs_behind_what_was_accepted_since(two_workers: RunningStack) -> None:
    tenant = "t_replay_order"
    with two_workers.client() as client:
        old = put(tenant, "k", b"old")
        assert run_all(client, [old]) == ["ROUTE_NOT_FOUND"]
        two_workers.route_to_folder(tenant)
        assert run_all(client, [put(tenant, "k", b"new")]) == ["done"]
        client.replay([old.ref])
        two_workers.wait_until_idle(client)
        found = client.run_outcome(GetObject(tenant_id=tenant, env="dev", key="k")).unwrap()
        assert found["payload"]["data"] == "b2xk"


def test_the_command_line_lists_shows_replays_and_purges(two_workers: RunningStack) -> None:
    tenant = "t_dead_cli"
    with two_workers.client() as client:
        commands = [put(tenant, "a", b"secret content"), put(tenant, "b")]
        run_all(client, list(commands))
        event = AppendEvent(tenant_id=tenant, env="dev", stream="s", event=Event(type="t"))
        run_all(client, [event])

        listed = run("dead", "ls", "-t", tenant, "--kind", "object_store", "--json")
        letters = json.loads(listed.stdout)["dead_letters"]
        assert {letter["ref"] for letter in letters} == {command.ref for command in commands}
        assert letters[0]["error"]["code"] == "ROUTE_NOT_FOUND"
        nothing = run("dead", "ls", "-t", tenant, "--code", "UNAVAILABLE", "--json")
        assert json.loads(nothing.stdout) == {"dead_letters": [], "more": False}

        shown = run("dead", "show", commands[0].ref)
        assert b"ROUTE_NOT_FOUND" in shown.stdout
        assert b"secret" not in shown.stdout
        assert b"c2VjcmV0" not in shown.stdout

        missing = run("dead", "show", f"{tenant}/dev/nothing")
        assert (missing.returncode, b"NOT_FOUND" in missing.stderr) == (1, True)
        unnamed = run("dead", "purge")
        assert unnamed.returncode == 2
        assert len(list(client.dead.find(Which(tenant_id=tenant)))) == 3

        two_workers.route_to_folder(tenant)
        replayed = run("dead", "replay", commands[0].ref, "--json")
        assert json.loads(replayed.stdout) == {"replayed": 1, "left": {}}
        two_workers.wait_until_idle(client)
        purged = run("dead", "purge", "-t", tenant, "--json")
        assert json.loads(purged.stdout) == {"purged": 2}
        assert list(client.dead.find(Which(tenant_id=tenant))) == []


def test_what_is_no_command_is_not_replayed(two_workers: RunningStack) -> None:
    tenant = "t_no_command"
    with two_workers.client() as client:
        ref = f"{tenant}/dev/odd"
        fault = Fault(ref, "object_store.put", {"odd": 1}, InvalidCommand("odd"))
        outcome = Outcome(
            op_id="odd",
            op=fault.op,
            tenant_id=tenant,
            env="dev",
            status=Status.FAILED,
            error=fault.error.detail(),
            seq=0,
            attempt=0,
            worker="w",
            claimed_at=datetime.now(UTC),
            duration_ms=0,
        )
        client.ledger.bury([Burial(ref, fault.op, "{}", outcome)])
        assert client.replay([ref]).left == {ref: "no command"}
        assert [letter.ref for letter in client.dead.find(Which(tenant_id=tenant))] == [ref]
        assert client.dead.purge([ref, ref]) == [ref]


def test_a_command_past_its_deadline_is_not_executed(two_workers: RunningStack) -> None:
    tenant = "t_late"
    two_workers.route_to_folder(tenant)
    now = datetime.now(UTC)
    with two_workers.client() as client:
        late = put(tenant, "late", deadline=now - timedelta(seconds=1))
        timely = put(tenant, "timely", deadline=now + timedelta(minutes=5))
        assert run_all(client, [late, timely]) == ["DEADLINE_EXCEEDED", "done"]
        page = client.run_outcome(ListObjects(tenant_id=tenant, env="dev")).unwrap()
        assert [entry["key"] for entry in page["objects"]] == ["timely"]


def test_a_tenant_with_too_much_open_is_turned_away_and_others_are_not(
    two_workers: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = two_workers.settings.model_copy(update={"max_open": 10})
    two_workers.route_to_folder("t_crowd")
    with Client(settings) as client:
        # Nothing is published, so that nothing ends meanwhile.
        monkeypatch.setattr(client._publisher, "publish_or_leave", lambda *_: None)
        taken = client.submit_many([put("t_crowd", f"k{n}") for n in range(14)])
        assert [s.receipt.acceptance for s in taken] == [Acceptance.NEW] * 10 + [
            Acceptance.FULL
        ] * 4
        with pytest.raises(RateLimited) as refused:
            client.submit(put("t_crowd", "more"))
        assert refused.value.retry_after
        assert refused.value.tenant_id == "t_crowd"
        assert client.submit(put("t_other", "k")).accepted
        # A command that is known already is answered, not turned away.
        assert client.submit(taken[0].command).accepted
    with two_workers.client() as client:
        two_workers.wait_until_idle(client)  # the reconciler wakes what nobody published
        assert client.submit(put("t_crowd", "more")).accepted
        two_workers.wait_until_idle(client)
        counts = {
            name: int(number)
            for shard in client.ledger.shards.tags
            for name, number in client.state.call("HGETALL", f"{shard}:open").items()
        }
        assert set(counts.values()) == {0}
