"""Rates with a clock of the test's own: a tenant gets its rate, whatever its backlog.

The scripts are the real ones on a real Redis; only their `TIME` is the test's.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import structlog

from signalbox.adapters.catalogue import find_backend
from signalbox.commands.error import BackendResting
from signalbox.commands.ledger import ledger as ledger_module
from signalbox.commands.ledger import rate_queue
from signalbox.commands.ledger import usage as usage_module
from signalbox.commands.ledger.entry import Claimed, Intent, Ticket
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.ledger.rate_queue import RateQueues
from signalbox.commands.ledger.shard import Shards
from signalbox.commands.ledger.usage import UsageBook
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import Mode
from signalbox.commands.script import Script
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.commands.tabular_store import UpsertRow
from signalbox.routing.policy.policy import Quotas
from signalbox.routing.route import Route
from signalbox.workers.execution.completer import Completer
from signalbox.workers.execution.pipeline_types import Admitted, Ended
from signalbox.workers.execution.quota_check import within_quotas

CLOCK = """
local real = redis
local redis = setmetatable({ call = function(name, ...)
  if name ~= 'TIME' then return real.call(name, ...) end
  local us = tonumber(real.call('GET', 'test:clock'))
  return { string.format('%.0f', math.floor(us / 1000000)), string.format('%.0f', us % 1000000) }
end }, { __index = real })
"""
SETTINGS = Settings(max_attempts=5)
TENANT = "t_rate"


@pytest.fixture
def client(state_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """A Redis whose scripts ask the test for the time."""
    for module in (ledger_module, usage_module, rate_queue):
        for name, script in vars(module).items():
            if isinstance(script, Script):
                monkeypatch.setattr(module, name, _with_clock(script))
    client = connect(state_url, ledger_shards=4)  # each turn looks at all of them
    client.server().flushall()
    # An hour of rates is thousands of turns; none of them has to outlive a power cut.
    client.server().config_set("appendfsync", "no")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield client
    structlog.reset_defaults()
    client.server().config_set("appendfsync", "always")
    client.close()


def _with_clock(script: Script) -> Script:
    copy = Script.__new__(Script)
    copy.source = CLOCK + script.source
    copy.digest = hashlib.sha1(copy.source.encode(), usedforsecurity=False).hexdigest()
    return copy


@dataclass
class World:
    """One worker, one pacer and one reconciler in a time that only passes when told."""

    client: State
    payloads: Path
    rate: float | None
    down: frozenset[str] = frozenset()
    """Kinds whose backend rests."""
    us: int = 1_700_000_000_000_000
    queue: list[Ticket] = field(default_factory=list)
    done: list[tuple[float, str]] = field(default_factory=list)
    claims: int = 0

    def __post_init__(self) -> None:
        self.began = self.us
        self.tick(0)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.client, SETTINGS)

    @cached_property
    def lines(self) -> RateQueues:
        return RateQueues(self.client, SETTINGS)

    @cached_property
    def book(self) -> UsageBook:
        return UsageBook(self.client)

    @cached_property
    def completer(self) -> Completer:
        parcels = Parcels(self.client, SETTINGS, self.ledger)
        return Completer(self.ledger, parcels, SETTINGS, DirectoryPayloadStore(self.payloads), "w")

    @property
    def now(self) -> float:
        return (self.us - self.began) / 1e6

    def tick(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)
        self.client.server().set("test:clock", self.us)

    def submit(self, commands: Sequence[Command]) -> list[str]:
        for start in range(0, len(commands), 500):
            part = commands[start : start + 500]
            receipts = self.ledger.submit([Intent(command, "q") for command in part])
            self.queue += [
                Ticket(c.ref, c.op)
                for c, receipt in zip(part, receipts, strict=True)
                if receipt.acceptance == "new"
            ]
        return [command.ref for command in commands]

    def run_until(self, seconds: float) -> None:
        """Turns of the pacer and the reconciler, and messages as they come."""
        turn = 0
        while self.now < seconds:
            self._work()
            self.tick(0.25)
            turn += 1
            waiting = self.lines.waiting()
            if waiting:
                wakes = self.lines.let_go(waiting, {TENANT: self.rate})
                self.queue += [wake.ticket for wake in wakes]
            if turn % 2 == 0:
                self.queue += [wake.ticket for wake in self.ledger.due().wakes]

    def _work(self) -> None:
        while self.queue:
            message, self.queue = self.queue[:100], self.queue[100:]
            token = uuid.uuid4().hex
            claims = self.ledger.claim(message, token=token, worker="w")
            self.claims += len(claims.claimed)
            admitted = [self._admitted(item) for item in claims.claimed]
            ready = [item for item in admitted if item.claimed.command.kind not in self.down]
            ended = [self._at_rest(item) for item in admitted if item not in ready]
            allowed, limited = within_quotas(ready, self.book)
            ended += limited
            ended += [Ended(item.claimed, item.route, result={}) for item in allowed]
            finished, _ = self.completer.finish(token, claims, ended)
            self.done += [(self.now, item.claimed.command.ref) for item in allowed]
            self.queue += [wake.ticket for wake in finished.wakes]

    def _admitted(self, item: Claimed) -> Admitted:
        command = item.command
        route = Route(
            scope=command.scope,
            backend_type="filesystem",
            config={"base_dir": "/somewhere"},
            mode=Mode.LAB,
            revision=1,
            hash="0" * 64,
            updated_at=datetime.now(UTC),
            updated_by="a",
            reason="r",
        )
        backend = find_backend(command.scope.kind, "filesystem")
        return Admitted(item, route, backend, Mode.LAB, Quotas(commands_per_second=self.rate))

    def _at_rest(self, item: Admitted) -> Ended:
        error = BackendResting("down", next_step="wait")
        error.retry_after = 5.0
        return Ended(item.claimed, item.route, error=error)

    def done_between(self, start: float, end: float) -> int:
        return sum(start <= at < end for at, _ in self.done)


def puts(count: int, keys: int = 1000, **fields: Any) -> list[Command]:
    return [
        PutObject(
            tenant_id=TENANT,
            env="dev",
            key=f"k{n % keys}",
            payload=InlinePayload(data=b"x"),
            **fields,
        )
        for n in range(count)
    ]


def rows(count: int) -> list[Command]:
    return [
        UpsertRow(tenant_id=TENANT, env="dev", table_name="t", key=f"r{n}", data={})
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("rate", "backlog", "seconds"), [(0.5, 200, 380), (5.0, 700, 120), (50.0, 2000, 36)]
)
def test_a_rate_gives_that_rate_whatever_the_backlog_and_in_accepted_order(
    client: State, tmp_path: Path, rate: float, backlog: int, seconds: int
) -> None:
    world = World(client, tmp_path, rate)
    refs = world.submit(puts(backlog, keys=backlog))
    step = seconds / 10
    world.run_until(seconds)
    for part in range(10):
        done = world.done_between(part * step, (part + 1) * step)
        # The bucket's burst is in the first part alone.
        burst = 1 + rate if part == 0 else 0
        turn = 2 + rate / 4
        assert rate * step - turn <= done <= rate * step + burst + turn, f"part {part}"
    assert [ref for _, ref in world.done] == refs[: len(world.done)]
    # Each is turned away once or twice, however long it waits: the work is that of the rate.
    assert world.claims <= 3 * backlog


def test_a_second_of_commands_and_one_may_burst(client: State, tmp_path: Path) -> None:
    world = World(client, tmp_path, 10.0)
    world.submit(puts(100))
    world._work()
    assert len(world.done) == 11
    world.run_until(20)
    assert len(world.done) == 100
    world.tick(60)
    world.submit(puts(100))
    world._work()
    assert len(world.done) == 111


def test_nothing_overtakes_what_waits(client: State, tmp_path: Path) -> None:
    world = World(client, tmp_path, 2.0)
    refs = world.submit(puts(10))
    world._work()
    world.tick(1)  # there are tokens again, and others come for them
    refs += world.submit(puts(10))
    world.run_until(12)
    assert [ref for _, ref in world.done] == refs


@pytest.mark.parametrize("new", [20.0, None])
def test_a_raised_or_lifted_rate_counts_for_what_waits_already(
    client: State, tmp_path: Path, new: float | None
) -> None:
    world = World(client, tmp_path, 0.05)
    world.submit(puts(300))
    world.run_until(30)
    assert 1 <= len(world.done) <= 3
    world.rate = new
    world.run_until(50)
    assert len(world.done) == 300


def test_a_lowered_rate_counts_for_what_waits_already(client: State, tmp_path: Path) -> None:
    world = World(client, tmp_path, 20.0)
    world.submit(puts(300))
    world.run_until(5)
    before = len(world.done)
    world.rate = 1.0
    world.run_until(25)
    assert 18 <= len(world.done) - before <= 23


def test_keys_keep_their_order_beside_others(client: State, tmp_path: Path) -> None:
    world = World(client, tmp_path, 20.0)
    refs = world.submit(puts(600, keys=7))
    world.run_until(60)
    done = [ref for _, ref in world.done]
    assert sorted(done) == sorted(refs)
    for key in range(7):
        assert [ref for ref in done if ref in set(refs[key::7])] == refs[key::7]


def test_a_kind_whose_backend_rests_takes_no_tokens_from_the_others(
    client: State, tmp_path: Path
) -> None:
    world = World(client, tmp_path, 2.0)
    world.submit(puts(300))
    world._work()  # they wait for the rate before the backend goes down
    started = len(world.done)
    world.down = frozenset({"object_store"})
    refs = set(world.submit(rows(40)))
    world.run_until(25)
    assert {ref for _, ref in world.done[started:]} == refs


def test_what_waits_is_due_at_its_deadline(client: State, tmp_path: Path) -> None:
    world = World(client, tmp_path, 1.0)
    soon = datetime.now(UTC) + timedelta(seconds=5)
    late = world.submit(puts(100, deadline=soon))
    world.run_until(3)
    shard = Shards(4).shard(TENANT, "dev")
    line = f"{shard}:line:{TENANT}/dev/object_store"
    waiting = [ref for ref in late if client.server().zscore(line, ref) is not None]
    assert len(waiting) > 90
    dues = [client.server().zscore(f"{shard}:due", ref) or 0 for ref in waiting]
    assert all(0 < due < world.us / 1000 + 5000 for due in dues)
