"""The state on a cluster or behind Sentinels: nodes killed, slots moved, under load."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from redis.crc import key_slot

from signalbox.commands.error import StateUnavailable
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.state import connect
from tests.chaos.campaign import QUICK, Plan, UnderLoad, strike_under_load
from tests.chaos.far_replica import LAG_MS, play_far
from tests.chaos.killer import Harm
from tests.chaos.load import ENV, TENANT
from tests.chaos.part import Part, Play, Row
from tests.redis_cluster import RedisCluster, Sentinels

FAILOVERS = 20
MOVES = 20
DURABLE = {"SIGNALBOX_STATE_REPLICAS": "1"}

Blow = Callable[[UnderLoad, random.Random], None]
"""One, and what it takes until the next may come."""


def strike_state(
    url: str, blow: Blow, times: int, folder: Path, *, least: int, seed: int = 31
) -> tuple[UnderLoad, list[float]]:
    """Strike so often under load; what came of it, and the seconds from each blow until one more
    command was done."""
    waits: list[float] = []

    def strike(scene: UnderLoad) -> None:
        chance = random.Random(seed)
        while len(waits) < times:
            _rest(scene, 0.5 + chance.random())
            started = time.monotonic()
            blow(scene, chance)
            _until_done(scene)
            waits.append(time.monotonic() - started)

    plan = Plan(Harm(), commands_least=least, seed=seed, settings=QUICK | DURABLE)
    return strike_under_load(plan, folder, strike, state_url=url), waits


def fail_over_nodes(cluster: RedisCluster) -> Blow:
    """Kill the node that has the load's ledger, or the one that has the registry."""

    def blow(_: UnderLoad, chance: random.Random) -> None:
        with connect(cluster.url) as state:
            shard = shards_of(state).shard(TENANT, ENV)
        key = shard if chance.random() < 0.7 else FENCE_KEY
        killed = cluster.fail_over(key_slot(key.encode()))
        killed.start()
        cluster.wait_until_whole()

    return blow


def move_slots(cluster: RedisCluster) -> Blow:
    def blow(_: UnderLoad, chance: random.Random) -> None:
        with connect(cluster.url) as state:
            shard = shards_of(state).shard(TENANT, ENV)
        key = shard if chance.random() < 0.7 else FENCE_KEY
        cluster.move_slot(key_slot(key.encode()))

    return blow


def fail_over_sentinels(sentinels: Sentinels) -> Blow:
    def blow(_: UnderLoad, __: random.Random) -> None:
        sentinels.fail_over().start()
        sentinels.wait_until_whole()

    return blow


def _rest(scene: UnderLoad, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        scene.killer.replace_the_fallen()
        time.sleep(0.05)


def _until_done(scene: UnderLoad) -> None:
    before: int | None = None
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(StateUnavailable):
            done = scene.client.ledger.totals().get("done", 0)
            before = done if before is None else before
            if done > before:
                return
        _rest(scene, 0.1)


def _play(where: str, times: int) -> Play:
    def play(folder: Path) -> Row:
        with ExitStack() as stack:
            if where == "sentinels":
                sentinels = stack.enter_context(Sentinels(folder / "sentinels"))
                url, blow = sentinels.url, fail_over_sentinels(sentinels)
            else:
                cluster = stack.enter_context(RedisCluster(folder / "cluster"))
                make = fail_over_nodes if where == "nodes" else move_slots
                url, blow = cluster.url, make(cluster)
            scene, waits = strike_state(url, blow, times, folder / "stack", least=5000)
        verdict = scene.verdict
        values = {
            "blows": len(waits),
            "commands": verdict.commands,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            "disordered": verdict.disordered,
            "failed": verdict.failed,
            "open": scene.open,
            "workers ended": scene.killer.kills,
            "again at work after, median s": statistics.median(waits),
            "at most s": max(waits),
        }
        good = verdict.clean and scene.open == scene.killer.kills == 0
        return Row(values, good, verdict.notes)

    return play


CLUSTER_PART = Part(
    "cluster",
    "The state on a cluster, or behind Sentinels",
    f"""
The state is on a Redis Cluster of six nodes, or on a primary and a replica that three Sentinels
watch. Everything that is acknowledged is also on a replica (`SIGNALBOX_STATE_REPLICAS=1`).

- *Nodes killed*: the primary that holds the ledger of the load, or the registry, is repeatedly
  ended with SIGKILL. Its replica is promoted, and the killed node returns as a replica.
- *Slots moved*: the slots of that primary are moved to another node with all their keys.
- *Far replica*: no worker runs. Four producers submit to a primary whose replica lags by {LAG_MS}
  to {2 * LAG_MS} ms, as it would over a network. The primary is ended with SIGKILL, data on the
  way to the replica is lost, and the replica is promoted. *Commands* counts those whose
  acceptance was acknowledged, and *lost* those that the replica does not know. Without waiting
  for replicas, a failover can lose as many commands as are submitted during the lag, and only
  their producers know of them.

*Again at work after* is the time from the failure until another command is done. It includes the
failover or the move, and the wait for the replica.
""",
    {
        "nodes killed": _play("nodes", FAILOVERS),
        "slots moved": _play("slots", MOVES),
        "Sentinels' primary killed": _play("sentinels", FAILOVERS),
        "far replica, waited for": partial(play_far, replicas=1),
        "far replica, not waited for": partial(play_far, replicas=0),
    },
)
