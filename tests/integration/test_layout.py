"""Over how many shards a ledger is spread, and by which schema: recorded, and held to by all."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from signalbox.commands.error import LedgerMismatch, LedgerTooNew, StateUnavailable
from signalbox.commands.ledger import layout
from signalbox.commands.ledger.dead import DeadLetters, Which
from signalbox.commands.ledger.entry import Acceptance, Ticket
from signalbox.commands.ledger.layout import KEY, SCHEMA, check_at_start, shards_of
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.shard import BEFORE, USUAL, Shards
from signalbox.commands.settings import Settings
from signalbox.commands.state import Call, State, connect
from tests.absent import absent
from tests.integration.test_ledger import done, put, submit

ROOT = Path(__file__).parents[2]
OLD = "3636b83"
"""A release that recorded nothing, and had 16 shards."""


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    with connect(state_url) as client:
        client.server().flushall()
        yield client


def recorded(state: State) -> dict[str, str]:
    found = state.call("HGETALL", KEY)
    return {n.decode(): v.decode() for n, v in found.items() if n != b"tags"}


def test_a_new_ledger_is_over_as_many_shards_as_is_usual_or_set(
    state: State, state_url: str
) -> None:
    assert shards_of(state).number == USUAL
    assert recorded(state) == {"shards": str(USUAL), "schema": str(SCHEMA)}
    state.server().flushall()
    with connect(state_url, ledger_shards=5) as other:
        assert shards_of(other).number == 5
    with connect(state_url) as third:
        assert shards_of(third).number == 5, "what is recorded counts"


def test_a_process_with_another_number_or_an_older_release_runs_nothing(
    state: State, state_url: str
) -> None:
    submit(Ledger(state, Settings()), put("a"))
    with connect(state_url, ledger_shards=5) as other, pytest.raises(LedgerMismatch) as caught:
        submit(Ledger(other, Settings()), put("b"))
    assert "SIGNALBOX_LEDGER_SHARDS" in str(caught.value)
    assert caught.value.next_step
    state.server().hset(KEY, "schema", SCHEMA + 1)
    with connect(state_url) as other, pytest.raises(LedgerTooNew):
        Ledger(other, Settings()).totals()
    assert Ledger(state, Settings()).totals()["open"] == 1


def test_a_state_that_is_begun_anew_keeps_the_number_of_those_who_use_it(
    state: State, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "LOOK_SECONDS", 0.0)
    with connect(state_url, ledger_shards=5) as first:
        assert shards_of(first).number == 5
        state.server().flushall()
        assert shards_of(first).number == 5
        assert recorded(state)["shards"] == "5"
        state.server().hset(KEY, "shards", 7)
        with pytest.raises(LedgerMismatch, match="another one"):
            shards_of(first)


def test_who_uses_a_new_ledger_first_records_its_queues_and_others_hold_to_them(
    state: State, state_url: str
) -> None:
    with connect(state_url, tenant_shards=4) as first:
        submit(Ledger(first, Settings()), put("a"))
    assert recorded(state)["tenant_shards"] == "4"
    for is_worker in (False, True):
        with connect(state_url, tenant_shards=64) as other:
            other.is_worker = is_worker
            with pytest.raises(LedgerMismatch, match="SIGNALBOX_TENANT_SHARDS is 64") as caught:
                submit(Ledger(other, Settings()), put("b"))
            assert str(caught.value.next_step).startswith("set it to 4 here")
    with connect(state_url) as none:  # whoever sends nothing needs no number
        assert Ledger(none, Settings()).totals()["open"] == 1


def test_queues_that_an_older_release_did_not_record_are_recorded_by_a_worker_alone(
    state: State, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is set wrongly must not keep out the workers that are there."""
    monkeypatch.setattr(layout, "LOOK_SECONDS", 0.0)
    shards_of(state)
    assert "tenant_shards" not in recorded(state)
    with (
        connect(state_url, tenant_shards=64) as wrong,
        connect(state_url, tenant_shards=4) as worker,
    ):
        shards_of(wrong)
        assert "tenant_shards" not in recorded(state)
        worker.is_worker = True
        shards_of(worker)
        assert recorded(state)["tenant_shards"] == "4"
        with pytest.raises(LedgerMismatch):  # it runs already, and finds out at its next look
            shards_of(wrong)
        state.server().hdel(KEY, "tenant_shards")
        wrong.is_worker = True
        shards_of(wrong)
        assert recorded(state)["tenant_shards"] == "64", "as the runbook changes it"


def test_the_check_of_a_start_lets_those_pass_whose_state_is_away(state_url: str) -> None:
    check_at_start(Settings(state_url="redis://127.0.0.1:1/0", tenant_shards=3))
    with connect(state_url) as client:
        client.server().flushall()
    check_at_start(Settings(state_url=state_url, tenant_shards=3))
    with pytest.raises(LedgerMismatch):
        check_at_start(Settings(state_url=state_url, tenant_shards=4), is_worker=True)


@pytest.mark.parametrize("wrong", ["{server}/99", "redis+cluster://{address}"])
def test_a_process_does_not_start_with_a_wrong_address(state_url: str, wrong: str) -> None:
    server = state_url.rpartition("/")[0]
    url = wrong.format(server=server, address=server.removeprefix("redis://"))
    with pytest.raises(StateUnavailable, match="SIGNALBOX_STATE_URL"):
        check_at_start(Settings(state_url=url))


def test_a_process_does_not_start_where_no_redis_answers() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), NoRedis) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"redis://127.0.0.1:{server.server_address[1]}/0"
        with pytest.raises(StateUnavailable, match=r"no Redis.*SIGNALBOX_STATE_URL"):
            check_at_start(Settings(state_url=url))
        server.shutdown()


class NoRedis(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(1000)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_look_at_the_layout_is_no_round_trip_of_each_call(
    state: State, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(state_url, tenant_shards=4) as client:
        ledger = Ledger(client, Settings())
        submit(ledger, put("a"))
        asked: list[object] = []
        run = client.run

        def counted(calls: Sequence[Call], *rest: Any, **more: Any) -> list[Any]:
            asked.extend(calls)
            return run(calls, *rest, **more)

        monkeypatch.setattr(client, "run", counted)
        submit(ledger, put("b"))
    assert len(asked) == 1


@pytest.mark.parametrize("number", [1, 2, 64, 100])
def test_the_shards_of_a_ledger_are_spread_evenly_over_a_cluster(number: int) -> None:
    slots = [key_slot(tag.encode()) for tag in Shards(number).tags]
    assert [slot * number // 16384 for slot in slots] == list(range(number))


FILL = """
import json, sys
from datetime import UTC, datetime, timedelta
from commands.ledger.entry import Action, Finish, Intent, Ticket
from commands.ledger.ledger import Ledger
from commands.object_store import PutObject
from commands.outcome import Outcome, Status
from commands.payload import InlinePayload
from commands.settings import Settings
from commands.state import connect

state = connect(sys.argv[1])
ledger = Ledger(state, Settings(lease=timedelta(seconds=1), publish_grace=timedelta(0)))
refs = {"open": [], "running": [], "done": [], "dead": []}
for n in range(80):
    command = PutObject(tenant_id=f"t_{n}", env="dev", key="k", op_id=f"op-{n}",
                        payload=InlinePayload(data=b"x"))
    ledger.submit([Intent(command, "commands.0")])
    end = list(refs)[n % 4]
    refs[end].append(command.ref)
    if end == "open":
        continue
    [claimed] = ledger.claim([Ticket(command.ref, command.op)], token=f"t{n}", worker="w").claimed
    if end != "running":
        outcome = Outcome(op_id=command.op_id, op=command.op, tenant_id=command.tenant_id,
                          env="dev", status=Status.DONE if end == "done" else Status.FAILED,
                          attempt=1, worker="w", seq=claimed.seq, duration_ms=1.0,
                          claimed_at=datetime.now(UTC))
        ledger.finish(f"t{n}", [Finish(command.ref, f"t{n}", Action(end), outcome)])
print(json.dumps(refs))
"""


def old_release(folder: Path) -> Path:
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", OLD], capture_output=True, check=False
    )
    if archive.returncode:
        absent("the upgrade of an older ledger", f"this clone does not have commit {OLD}")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def test_a_ledger_of_before_is_kept_at_its_number_and_loses_nothing(
    state: State, state_url: str, tmp_path: Path
) -> None:
    filled = subprocess.run(
        [sys.executable, "-c", FILL, state_url],
        cwd=old_release(tmp_path / "old"),
        env={**os.environ, "PYTHONPATH": str(tmp_path / "old")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert filled.returncode == 0, filled.stderr
    refs: dict[str, list[str]] = json.loads(filled.stdout)

    with connect(state_url, ledger_shards=USUAL) as other, pytest.raises(LedgerMismatch):
        shards_of(other)
    ledger = Ledger(state, Settings())
    assert ledger.shards.number == BEFORE
    assert recorded(state) == {"shards": str(BEFORE), "schema": "1"}
    assert ledger.totals()["open"] == len(refs["open"] + refs["running"])
    assert all(ledger.outcomes(refs["done"]))
    letters = DeadLetters(state, Settings())
    assert sorted(each.ref for each in letters.find(Which())) == sorted(refs["dead"])
    again = put("k", tenant="t_0", op_id="op-0")
    assert submit(ledger, again) == [Acceptance.KNOWN]
    # All that was open runs now, and what a former worker had in hand when its lease is over.
    left = set(refs["open"] + refs["running"])
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        tickets = [Ticket(ref, "object_store.put") for ref in sorted(left)]
        claims = ledger.claim(tickets, token="new", worker="new")
        finishes = [done(claimed) for claimed in claims.claimed]
        assert ledger.finish("new", finishes).refused == []
        left -= {claimed.command.ref for claimed in claims.claimed}
    assert not left
    assert letters.replay(refs["dead"]).left == {}
    assert ledger.totals()["open"] == len(refs["dead"])
