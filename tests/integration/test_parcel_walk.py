"""Random walks of clients and workers over a ledger: order, ends and counts hold at each step."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from signalbox.commands.ledger.dead import DeadLetters
from signalbox.commands.ledger.entry import (
    Acceptance,
    Action,
    Apart,
    Claimed,
    Claims,
    Finish,
    Ticket,
    Wake,
)
from signalbox.commands.model import Command
from signalbox.commands.object_store import HeadObject
from signalbox.commands.state import State
from tests.chaos.remains import remains
from tests.integration.parcel_harness import PLACE, RING, SHARD, ParcelHarness, end_of
from tests.integration.test_ledger import put

STEPS = 150
KEYS = "abc"
SCOPE = f"{PLACE}/object_store"
AGAIN = (Action.RETRY, Action.PARK, Action.RELEASE)


@dataclass
class Worker:
    token: str
    claims: Claims
    left: list[Claimed]
    """What it has not told the end of."""


@dataclass
class Walk:
    harness: ParcelHarness
    chance: random.Random
    workers: list[Worker] = field(default_factory=list)
    commands: dict[str, Command] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)
    """Of the last acceptance of each."""
    ended: dict[str, Action] = field(default_factory=dict)
    messages: list[Ticket] = field(default_factory=list)
    """Wake-ups on the broker."""
    numbers: int = 0

    def submit(self) -> None:
        """Some new ones and some that are known, in parcels or as records."""
        chance, commands = self.chance, []
        for _ in range(chance.choice([1, 2, 5, 12])):
            self.numbers += 1
            key = chance.choice([*KEYS, f"own{self.numbers}"])
            if self.commands and chance.random() < 0.2:
                commands.append(chance.choice(list(self.commands.values())))
            elif chance.random() < 0.2:
                commands.append(HeadObject(tenant_id="t_a", env="dev", key=key))
            else:
                commands.append(put(key, str(self.numbers).encode()))
        if chance.random() < 0.3:
            receipts = self.harness.receipts(*commands, as_records=True)
            self._hear(
                Wake(Ticket(receipt.ref, command.op), "q")
                for command, receipt in zip(commands, receipts, strict=True)
                if receipt.acceptance is Acceptance.NEW
            )
        else:
            accepted = self.harness.accept(*commands)
            receipts = accepted.receipts
            self._hear(accepted.wakes)
        last: dict[str | None, int] = {}
        for command, receipt in zip(commands, receipts, strict=True):
            known = command.ref in self.seqs
            new = receipt.acceptance in (Acceptance.NEW, Acceptance.HELD)
            assert new != known, receipt
            if known:
                assert receipt.seq == self.seqs[command.ref]
                assert (receipt.outcome is not None) == (command.ref in self.ended)
                continue
            self.commands[command.ref], self.seqs[command.ref] = command, receipt.seq
            if command.order_key:
                assert receipt.seq > last.get(command.order_key, 0), "in the order of the submit"
                last[command.order_key] = receipt.seq

    def take(self) -> None:
        token = self._token()
        claims = self.harness.taken(token)
        if self.chance.random() < 0.2:  # the answer was lost
            again = self.harness.taken(token)
            assert [c.command for c in claims.claimed] == [c.command for c in again.claimed]
        self._begin(token, claims, claims.claimed)

    def claim(self) -> None:
        """A worker has messages; some are lost."""
        some = [ticket for ticket in self.messages if self.chance.random() < 0.5]
        self.messages = [ticket for ticket in self.messages if ticket not in some]
        token = self._token()
        self._begin(token, Claims(), self._claimed(token, some))

    def _claimed(self, token: str, tickets: Sequence[Ticket]) -> list[Claimed]:
        claims = self.harness.ledger.claim(tickets, token=token, worker="w", apart=Apart.UNWATCHED)
        assert claims.unrunnable == []
        return claims.claimed

    def _hear(self, wakes: Iterable[Wake]) -> None:
        self.messages += [
            wake.ticket for wake in wakes if wake.ticket.op != RING and self.chance.random() < 0.9
        ]

    def end(self) -> None:
        """A worker tells the ends of some of what it has; of parcels with the first of them."""
        worker = self._one()
        if worker is None:
            return
        part = [c for c in worker.left if not worker.claims.parcels or self.chance.random() < 0.7]
        finishes: list[Finish] = []
        again: set[str | None] = set()
        for claimed in part:
            key = claimed.command.order_key
            skipped = key and any(
                c.command.order_key == key and c.seq < claimed.seq
                for c in worker.left
                if c not in part
            )
            action = self.chance.choice([*[Action.DONE] * 5, Action.DEAD, *AGAIN])
            if skipped or (key and key in again):
                action = Action.RELEASE  # as a worker does behind one that comes again
            if action in AGAIN:
                again.add(key)
            finishes.append(end_of(claimed, action))
        parcels = worker.claims.parcels
        if parcels:
            finished = self.harness.parcels.end(worker.token, parcels, finishes)
        else:
            finished = self.harness.ledger.finish(worker.token, finishes)
        refused = finished.refused
        self._hear(finished.wakes)
        if self.chance.random() < 0.2 and parcels:  # told again, since the answer was lost
            self.harness.parcels.end(worker.token, parcels, [f for f in finishes if _done(f)])
        worker.claims = Claims()
        worker.left = [c for c in worker.left if c not in part]
        for finish in finishes:
            if finish.ref not in refused and finish.action in (Action.DONE, Action.DEAD):
                assert finish.ref not in self.ended, "it ended before"
                self.ended[finish.ref] = finish.action

    def die(self) -> None:
        worker = self._one()
        if worker is not None:
            self.workers.remove(worker)

    def wait(self) -> None:
        """All leases are over, and the reconciler has its turns."""
        self.harness.client.hincrby(f"{SHARD}:era", "ahead", 2 * 3600 * 1000)
        for _ in range(self.chance.choice([0, 3])):
            self._reconcile()

    def _reconcile(self) -> None:
        due = self.harness.ledger.due()
        self.harness.parcels.open_late(due.late)
        self._hear(due.wakes)

    def replay(self) -> None:
        dead = [ref for ref, action in self.ended.items() if action is Action.DEAD]
        if not dead:
            return
        ref = self.chance.choice(dead)
        replayed = DeadLetters(self.harness.connection, self.harness.settings).replay([ref])
        assert replayed.left == {}
        self._hear(replayed.wakes)
        del self.ended[ref]
        [record] = self.harness.ledger.records([ref])
        assert record
        self.seqs[ref] = record.seq

    def look(self) -> None:
        """What readers see, and what is counted, agrees with what happened."""
        refs = list(self.commands)
        records = self.harness.ledger.records(refs)
        for ref, record in zip(refs, records, strict=True):
            assert record
            assert record.seq == self.seqs[ref]
            assert (record.state in ("done", "dead")) == (ref in self.ended), record
        outcomes = self.harness.ledger.outcomes(refs)
        assert [ref for ref, found in zip(refs, outcomes, strict=True) if found] == [
            ref for ref in refs if ref in self.ended
        ]
        still = len(refs) - len(self.ended)
        totals = self.harness.ledger.totals()
        held = sum(
            int(entry.split()[1]) if entry.startswith(b"= ") else 1
            for entry in self.harness.client.lrange(f"{SHARD}:hold:{SCOPE}", 0, -1)
        )
        running = sum(record.state == "running" for record in records if record)
        assert (totals.get("open", 0), totals.get("running", 0)) == (still, running)
        counts = {
            k.decode(): int(v) for k, v in self.harness.client.hgetall(f"{SHARD}:open").items()
        }
        assert (counts.get(SCOPE, 0), counts.get(PLACE, 0)) == (still, still)
        assert counts.get(f"h/{SCOPE}", 0) == totals.get("held", 0) == held
        ready = [name for name in self.harness.parcels_open() if self.harness.state(name) == "q"]
        assert self.harness.client.llen(f"{SHARD}:rdy:q") == len(ready)

    def to_the_end(self) -> None:
        """All workers die, and new ones do what is left."""
        self.workers.clear()
        for _ in range(1000):
            if len(self.ended) == len(self.commands):
                break
            self.wait()
            claims = self.harness.taken()
            if claims.claimed:
                assert self.harness.end(claims).refused == []
                self.ended |= {c.command.ref: Action.DONE for c in claims.claimed}
            claimed = self._claimed(self._token(), self.messages)
            self.messages.clear()
            if claimed:
                assert self.harness.finish(*claimed).refused == []
                self.ended |= {c.command.ref: Action.DONE for c in claimed}
        assert len(self.ended) == len(self.commands), "some stay open for ever"
        self.look()
        assert remains(self.harness.connection) == []

    def _begin(self, token: str, claims: Claims, claimed: Sequence[Claimed]) -> None:
        own = {each.command.ref for each in claimed}
        for each in claimed:
            command = each.command
            assert command.ref not in self.ended, "it has ended"
            assert each.seq == self.seqs[command.ref]
            if command.order_key is None:
                continue
            for ref, other in self.commands.items():
                if other.order_key == command.order_key and self.seqs[ref] < each.seq:
                    assert ref in self.ended or ref in own, "it overtakes another"
        if claimed:
            self.workers.append(Worker(token, claims, list(claimed)))

    def _one(self) -> Worker | None:
        return self.chance.choice(self.workers) if self.workers else None

    def _token(self) -> str:
        return f"{self.chance.getrandbits(64):x}"


def _done(finish: Finish) -> bool:
    return finish.action is Action.DONE


@pytest.mark.parametrize("window", [0, 6])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_in_whatever_order_all_of_it_ends_once_and_in_order(
    state: State, seed: int, window: int
) -> None:
    settings: dict[str, Any] = {"max_attempts": 10**6, "max_deaths": 10**6}
    harness = ParcelHarness(state, tenant_window=window, lease=timedelta(hours=1), **settings)
    walk = Walk(harness, random.Random(seed))
    steps: list[tuple[Callable[[], None], int]] = [
        *[(walk.submit, 6), (walk.take, 5), (walk.claim, 4), (walk.end, 8)],
        *[(walk.die, 1), (walk.wait, 1), (walk.replay, 1), (walk.look, 1)],
    ]
    kinds, weights = [step for step, _ in steps], [weight for _, weight in steps]
    for step in walk.chance.choices(kinds, weights, k=STEPS):
        step()
    walk.to_the_end()
