"""The state on a real cluster of six nodes: slots moved, nodes failing, and what is read when."""

from __future__ import annotations

import os
import signal
import string
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from redis.crc import key_slot

from signalbox.commands import address
from signalbox.commands.error import StateUnavailable
from signalbox.commands.ledger.dead import DeadLetters, Which
from signalbox.commands.ledger.entry import Acceptance, Action
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.staged import Deployment, staged_refs
from signalbox.commands.scope import Mode
from signalbox.commands.script import Script
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.producers.heartbeats import Heartbeats
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from signalbox.workers.maintenance.election import Election
from tests.integration.conftest import object_scope, wait_until
from tests.integration.operating import by
from tests.integration.test_ledger import claim, done, put, submit
from tests.redis_cluster import Node, RedisCluster

SETTINGS = Settings(publish_grace=timedelta(0))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with RedisCluster(tmp_path_factory.mktemp("cluster")) as six:
        yield six


@pytest.fixture
def state(cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    monkeypatch.setattr(address, "RETRY_SECONDS", 30.0)  # a busy machine's failover takes long
    cluster.wait_until_whole()
    for node in cluster.primaries():
        node.do("FLUSHALL")
    with connect(cluster.url) as client:
        yield client


@pytest.fixture
def hasty(cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """The same cluster, for who wants to be told at once."""
    monkeypatch.setattr(address, "RETRY_SECONDS", 0.0)
    with connect(cluster.url) as client:
        yield client


@pytest.fixture
def ledger(state: State) -> Ledger:
    return Ledger(state, SETTINGS)


def slot_of(key: str) -> int:
    return key_slot(key.encode())


def tenant_on(cluster: RedisCluster, ledger: Ledger, node: Node) -> str:
    """A tenant whose commands are on this node."""
    return next(
        tenant
        for tenant in (f"t_{n}" for n in range(1000))
        if cluster.primary_of(slot_of(ledger.shards.shard(tenant, "dev"))) is node
    )


@contextmanager
def frozen(node: Node) -> Iterator[None]:
    os.kill(node.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(node.process.pid, signal.SIGCONT)


def test_calls_to_many_nodes_are_answered_in_order_and_each_node_is_given_the_scripts(
    state: State, cluster: RedisCluster
) -> None:
    script = Script.of("redis.call('INCR', KEYS[1] .. ':n'); return ARGV[1]")
    for node in cluster.primaries():
        node.do("SCRIPT FLUSH")
    calls = [script.call([f"{{a{n % 40}}}"], [n]) for n in range(200)]
    assert state.run(calls, [script]) == [str(n).encode() for n in range(200)]
    assert state.run([("GET", f"{{a{n}}}:n") for n in range(40)]) == [b"5"] * 40
    assert len(set(state.scan("{a*}:n"))) == 40
    assert state.atomic([("GET", "{a1}:n"), ("TIME",), ("GET", "{a1}:n")])[0] == b"5"


def test_all_of_a_ledger_and_a_registry_works_over_the_nodes(state: State, ledger: Ledger) -> None:
    commands = [put("k", tenant=f"t_{n}") for n in range(60)]
    assert set(submit(ledger, *commands)) == {Acceptance.NEW}
    assert len({ledger.shards.of(c.ref) for c in commands}) > 30
    claimed = claim(ledger, *commands, token="t")
    ends = [Action.DEAD if n % 3 == 0 else Action.DONE for n in range(60)]
    finishes = [done(c, end) for c, end in zip(claimed, ends, strict=True)]
    assert ledger.finish("t", finishes).refused == []
    assert all(ledger.outcomes([command.ref for command in commands]))
    assert ledger.find(commands[1].op_id) == [commands[1].ref]
    totals = ledger.totals()
    assert (totals["open"], totals["dead_letters"], totals["done"]) == (0, 20, 40)
    dead = DeadLetters(state, SETTINGS)
    refs = [letter.ref for letter in dead.find(Which())]
    assert len(dead.replay(refs).wakes) == 20
    assert list(staged_refs(state)) == []
    assert Deployment(state)() == Deployment(state)()
    assert Election(state, "reconciler", "w").leads()
    heartbeats = Heartbeats(state)
    heartbeats.beat("w")
    assert heartbeats.beating() == ["w"]
    registry, scope = Registry(state), object_scope("t_a")
    registry.set(
        scope,
        RouteTarget("filesystem", {"base_dir": "/d"}, Mode.LAB),
        by("a", "r", "1"),
    )
    assert registry.get(scope) is not None
    assert [event.revision for event in registry.events(0, block_ms=10)] == [1]


def test_a_fence_is_read_when_every_node_has_given_its_claims(
    state: State, ledger: Ledger, cluster: RedisCluster
) -> None:
    """A route change that was acknowledged while a node was slow is seen by the claim."""
    registry_node = cluster.primary_of(slot_of(FENCE_KEY))
    slow = next(node for node in cluster.primaries() if node is not registry_node)
    command = put("k", tenant=tenant_on(cluster, ledger, slow))
    submit(ledger, command)
    field = f"object_store/{command.tenant_id}/dev"
    with ThreadPoolExecutor(1) as other:
        begun = threading.Event()

        def late_claim() -> list[str | None]:
            begun.set()
            return [claimed.fence for claimed in claim(ledger, command)]

        with frozen(slow):
            claiming = other.submit(late_claim)
            begun.wait()
            # The registry's node has answered what it was asked: by then nothing but the slow
            # one holds the claim up.
            threading.Event().wait(0.3)
            registry_node.do("HSET", FENCE_KEY, field, "7-new")
        assert claiming.result() == ["7-new"]


def test_a_slot_on_its_way_is_not_used_and_all_is_there_when_it_has_come(
    ledger: Ledger, hasty: State, cluster: RedisCluster
) -> None:
    first, second = put("a"), put("b")
    submit(ledger, first)
    shard = ledger.shards.of(first.ref)
    impatient = Ledger(hasty, SETTINGS)
    impatient.totals()
    move = cluster.begin_move(slot_of(shard))
    steps: dict[str, Callable[[], object]] = {
        "submit": lambda: submit(impatient, second),
        "claim": lambda: claim(impatient, first),
        "due": impatient.due,
        "outcome": lambda: impatient.outcomes([second.ref]),
        "renew": lambda: impatient.renew(first.ref, "t", 1.0),
    }
    for _ in range(2):  # at its beginning, and with half of its keys here and half there
        for name, step in steps.items():
            with pytest.raises(StateUnavailable, match=r"ASK|TRYAGAIN") as caught:
                step()
            assert caught.value.next_step, name
        assert move.some_keys(3)
    cluster.end_move(move)
    assert submit(ledger, first, second) == [Acceptance.KNOWN, Acceptance.NEW]
    assert [c.command for c in claim(ledger, first, second)] == [first, second]


def test_a_node_that_took_over_begins_an_era_and_what_was_open_is_a_takeover(
    ledger: Ledger, cluster: RedisCluster
) -> None:
    moved, failed, later = put("a", tenant="t_m"), put("a", tenant="t_f"), put("b", tenant="t_f")
    submit(ledger, moved, failed)
    cluster.move_slot(slot_of(ledger.shards.of(moved.ref)))
    [after_move] = claim(ledger, moved)
    killed = cluster.fail_over(slot_of(ledger.shards.of(failed.ref)))
    try:
        [after_failover] = claim(ledger, failed)
        assert after_move.takeover
        assert after_failover.takeover
        submit(ledger, later)
        assert [c.takeover for c in claim(ledger, later)] == [False]
        assert ledger.finish(after_failover.token, [done(after_failover)]).refused == []
    finally:
        killed.start()


def test_what_is_acknowledged_is_on_a_replica_where_that_is_set(
    state: State, cluster: RedisCluster
) -> None:
    with connect(cluster.url, replicas=1) as careful:
        ledger, command = Ledger(careful, SETTINGS), put("a")
        shard = ledger.shards.of(command.ref)
        primary = cluster.primary_of(slot_of(shard))
        replica = cluster.replica_of(primary)
        assert submit(ledger, put("b")) == [Acceptance.NEW]
        with frozen(replica):
            for _ in range(2):  # a repeat writes nothing, and must not be answered for that
                with pytest.raises(StateUnavailable, match="0 of 1 replicas") as caught:
                    submit(ledger, command)
                assert caught.value.next_step
        wait_until(lambda: primary.client.wait(1, 100) == 1, "the replica goes on")
        assert submit(ledger, command) == [Acceptance.KNOWN]


def test_a_connection_that_was_refused_is_answered_in_order_later(
    cluster: RedisCluster, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent behind a refused command has its answers read as well."""
    monkeypatch.setattr(address, "RETRY_SECONDS", 0.0)
    shard = Ledger(state, SETTINGS).shards.tags[0]
    with connect(cluster.url, replicas=1) as careful:
        careful.run([("SET", f"{shard}:x", "x")], durable=True)
        move = cluster.begin_move(slot_of(shard))
        with frozen(cluster.replica_of(move.source)):
            with pytest.raises(StateUnavailable):
                careful.run([("SET", f"{shard}:y", "y")], durable=True)
            # Its WAIT is answered late; that is no answer to this.
            assert careful.run([("GET", f"{shard}:x")]) == [b"x"]
        cluster.end_move(move)
        assert careful.run([("GET", f"{shard}:x")], durable=True) == [b"x"]


def test_a_primary_and_its_replica_go_and_come_back_with_all_that_was_acknowledged(
    ledger: Ledger, hasty: State, cluster: RedisCluster
) -> None:
    """Meanwhile nothing works, also on the other nodes, and each step says so."""
    here = put("a", tenant="t_m")
    gone = cluster.primary_of(slot_of(ledger.shards.of(here.ref)))
    # Slots have been moved at random before this.
    others = (put("a", tenant=f"t_{letter}") for letter in string.ascii_lowercase)
    there = next(
        other
        for other in others
        if cluster.primary_of(slot_of(ledger.shards.of(other.ref))) is not gone
    )
    submit(ledger, here, there)
    [claimed] = claim(ledger, here)
    pair = [gone, cluster.replica_of(gone)]
    impatient = Ledger(hasty, SETTINGS)
    for node in pair:
        node.process.kill()
    try:
        steps: list[Callable[[], object]] = [
            lambda: submit(impatient, put("b", tenant="t_m")),
            lambda: impatient.finish(claimed.token, [done(claimed)]),
            impatient.due,
        ]
        for step in steps:
            with pytest.raises(StateUnavailable) as caught:
                step()
            assert caught.value.next_step
    finally:
        for node in pair:
            node.start()
    cluster.wait_until_whole()
    assert ledger.finish(claimed.token, [done(claimed)]).refused == []
    assert [each.command for each in claim(ledger, there)] == [there]
