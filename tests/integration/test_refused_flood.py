"""A flood of refused messages of invented tenants fills nothing, and pushes no one's evidence out.

`TESTS_FLOOD=100000` has as many messages, against the real bound; less against a part of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.memory import memory_of
from signalbox.commands.error import InvalidCommand, SignatureMissing
from signalbox.commands.ledger import ledger as its
from signalbox.commands.ledger.dead import DeadLetters, Which
from signalbox.commands.ledger.entry import Action, Finish, Intent, Ticket
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.ledger.usage import Usage
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.commands.wire import Fault
from signalbox.workers.execution.completer import Completer

ALL = 100_000
"""The flood that the real bound is measured with."""
MESSAGES = int(os.environ.get("TESTS_FLOOD", "5000"))
TENANTS = 1000
HONEST, LETTERS = "t_honest", 5


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    state = connect(state_url)
    state.server().flushall()
    yield state
    state.close()


class Worker:
    def __init__(self, state: State, folder: Path) -> None:
        self.settings = Settings(payload_dir=folder)
        self.state, self.ledger = state, Ledger(state, self.settings)
        parcels = Parcels(state, self.settings, self.ledger)
        payloads = DirectoryPayloadStore(folder)
        self.completer = Completer(self.ledger, parcels, self.settings, payloads, "w")

    def put(self, key: str) -> PutObject:
        payload = InlinePayload(data=b"x")
        return PutObject(tenant_id=HONEST, env="prod", key=key, payload=payload)

    def claim(self, command: PutObject) -> None:
        self.ledger.claim([Ticket(command.ref, command.op)], token="t", worker="w")

    def finish(self, command: PutObject, action: Action) -> None:
        outcome = Outcome(
            op_id=command.op_id,
            op=command.op,
            tenant_id=command.tenant_id,
            env=command.env,
            status=Status.DONE if action is Action.DONE else Status.FAILED,
            error=None if action is Action.DONE else SignatureMissing("none").detail(),
            result={} if action is Action.DONE else None,
            seq=1,
            attempt=1,
            worker="w",
            claimed_at="2026-01-01T00:00:00Z",
            duration_ms=1.0,
        )
        usage = Usage(f"object_store/{HONEST}/prod", writes=1, health="ok")
        used = usage if action is Action.DONE else None
        self.ledger.finish("t", [Finish(command.ref, "t", action, outcome, usage=used)])

    def bury(self, refs: Sequence[str], size: int = 600) -> None:
        error = InvalidCommand("no command")
        faults = [
            Fault(ref, "object_store.put", {"n": number, "x": "x" * size}, error)
            for number, ref in enumerate(refs)
        ]
        self.completer.bury(faults)

    def letters(self, tenant: str | None = None) -> list[str]:
        found = DeadLetters(self.state, self.settings).find(Which(tenant_id=tenant))
        return [letter.ref for letter in found]


@pytest.fixture
def worker(state: State, tmp_path: Path) -> Worker:
    return Worker(state, tmp_path)


def test_a_flood_of_invented_tenants_stays_within_its_bound(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a smaller flood the bound is smaller, so that it has to hold it back as well.
    parts, scale = worker.ledger.shards.number * 4, min(1.0, MESSAGES / ALL)
    most, most_bytes = int(its.MAX_FAULTS * scale), int(its.MAX_FAULT_BYTES * scale)
    monkeypatch.setattr(its, "MAX_FAULTS", max(parts * (LETTERS + 1), most))
    monkeypatch.setattr(its, "MAX_FAULT_BYTES", max(parts * (LETTERS + 1) * 2500, most_bytes))
    ran, waits = worker.put("ran"), worker.put("waits")
    worker.ledger.submit([Intent(ran, "q"), Intent(waits, "q")])
    worker.claim(ran)
    worker.finish(ran, Action.DONE)
    mine = [f"{HONEST}/prod/letter{number}" for number in range(LETTERS)]
    worker.bury(mine)
    before, peak = memory_of(worker.state.server()), 0
    for start in range(0, MESSAGES, 500):
        numbers = range(start, min(start + 500, MESSAGES))
        worker.bury([f"t_invented{n % TENANTS}/prod/m{n}" for n in numbers], size=2000)
        if start % 5000 == 0:
            peak = max(peak, memory_of(worker.state.server()) - before)
    grown = max(peak, memory_of(worker.state.server()) - before)
    counts = worker.ledger.totals()
    print(f"{MESSAGES} messages of {TENANTS} tenants: +{grown / 1e6:.1f} MB at most, {counts}")  # noqa: T201
    assert grown < its.MAX_FAULT_BYTES
    assert counts["dead_letters"] <= its.MAX_FAULTS
    assert counts["dead"] == MESSAGES + LETTERS
    assert counts["dropped"] == MESSAGES + LETTERS - counts["dead_letters"]
    assert counts["dropped"] == counts["dropped_room"] + counts.get("dropped_share", 0)
    assert set(mine) == set(worker.letters(HONEST))
    worker.claim(waits)
    worker.finish(waits, Action.DONE)
    [record] = worker.ledger.records([waits.ref])
    assert record is not None
    assert record.state == "done"


def test_commands_that_are_refused_at_the_claim_stay_within_the_bound_too(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their records have more fields than those of documents."""
    monkeypatch.setattr(its, "MAX_FAULT_BYTES", its.MAX_FAULT_BYTES // 16)
    first = worker.put("first")
    worker.ledger.submit([Intent(first, "q")])
    worker.claim(first)
    worker.finish(first, Action.REFUSE)
    tenants = [f"t_invented{number}" for number in range(2000)]
    before = memory_of(worker.state.server())
    for tenant in tenants:
        command = worker.put("k").model_copy(update={"tenant_id": tenant})
        worker.ledger.claim([], carried=[Intent(command, "q")], token="t", worker="w")
        worker.finish(command, Action.REFUSE)
    grown = memory_of(worker.state.server()) - before
    assert worker.ledger.totals()["dropped_room"] > 500
    assert grown < its.MAX_FAULT_BYTES


def test_one_source_has_a_share_and_loses_its_own_first(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = worker.ledger.shards.shard("t_a", "prod")
    names = (f"t_b{number}" for number in range(10_000))
    other = next(name for name in names if worker.ledger.shards.shard(name, "prod") == shard)
    monkeypatch.setattr(its, "MAX_FAULTS", 20 * worker.ledger.shards.number)
    worker.bury([f"{other}/prod/first"])
    worker.bury([f"t_a/prod/m{number:02}" for number in range(30)])
    assert sorted(worker.letters("t_a")) == [f"t_a/prod/m{number}" for number in range(25, 30)]
    assert worker.letters(other) == [f"{other}/prod/first"]
    assert worker.ledger.totals()["dropped_share"] == 25


def test_unproven_commands_are_within_the_bound_as_they_end(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(its, "MAX_FAULTS", 16 * worker.ledger.shards.number)
    commands = [worker.put(f"k{number}") for number in range(20)]
    for command in commands:
        worker.ledger.submit([Intent(command, "q")])
        worker.claim(command)
        worker.finish(command, Action.REFUSE)
    assert sorted(worker.letters(HONEST)) == sorted(command.ref for command in commands[-4:])
    worker.ledger.submit([Intent(commands[0], "q")])  # its op_id is free
    assert worker.ledger.totals()["dropped_share"] == 16


def test_what_was_purged_leaves_the_count_when_its_name_comes_again(worker: Worker) -> None:
    ref = "t_a/prod/m"
    for _ in range(3):
        worker.bury([ref])
        assert DeadLetters(worker.state, worker.settings).purge([ref]) == [ref]
    worker.bury([ref])
    sizes = worker.state.call("HGETALL", f"{worker.ledger.shards.of(ref)}:faultsize")
    assert sizes[b"t_a/prod#"] == b"1"
    assert sizes[b""] == sizes[b"t_a/prod"] == sizes[ref.encode()]
    assert worker.letters() == [ref]
