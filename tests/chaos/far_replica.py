"""What a failover loses of what producers were told, with and without a wait for the replica."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path

from signalbox.commands.error import StateUnavailable
from signalbox.commands.ledger.entry import Intent
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from tests.chaos.load import ENV, TENANT
from tests.chaos.part import Row, Value
from tests.chaos.relay import Relay
from tests.integration.conftest import wait_until
from tests.redis_cluster import DURABLE, Node, free_ports, server_binary

FAILOVERS = 20
PRODUCERS = 4
LAG_MS = 10
SETTINGS = Settings(max_open=0, tenant_window=0, publish_grace=timedelta(minutes=1))


class Producers:
    """Threads that submit until the state is gone, and keep what was acknowledged."""

    def __init__(self, url: str, replicas: int) -> None:
        self._state = connect(url, replicas=replicas)
        self._parcels = Parcels(self._state, SETTINGS, Ledger(self._state, SETTINGS))
        self._numbers = count()
        self.told: list[str] = []
        """The op_ids."""
        self._threads = [threading.Thread(target=self._run) for _ in range(PRODUCERS)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()
        self._state.close()

    def _run(self) -> None:
        while True:
            batch = [_put(next(self._numbers)) for _ in range(random.choice((1, 1, 20)))]
            try:
                self._parcels.accept([Intent(command, "q") for command in batch])
            except StateUnavailable:
                return
            self.told += [command.op_id for command in batch]


def fail_over(folder: Path, replicas: int, rest: float) -> tuple[int, int]:
    """Kill a primary under submits, and promote its replica: how many commands were acknowledged,
    and how many of these the replica does not know."""
    binary = server_binary("a replica")
    first, second = (Node(binary, folder / str(port), port, **DURABLE) for port in free_ports(2))
    try:
        first.start()
        second.start()
        with closing(Relay(first.port)) as relay:
            second.do("REPLICAOF", "127.0.0.1", relay.port)
            wait_until(lambda: first.client.wait(1, 100) == 1, "the replica has its data")
            relay.delay = LAG_MS / 1000
            producers = Producers(f"redis://{first.address}/0", replicas)
            wait_until(lambda: bool(producers.told), "something is acknowledged")
            time.sleep(rest)
            relay.silence()  # what is on its way is lost with the machine
            first.process.kill()
            producers.wait()
            second.do("REPLICAOF", "NO", "ONE")
        with connect(f"redis://{second.address}/0") as state:
            return len(producers.told), _unknown(state, producers.told)
    finally:
        for node in (first, second):
            node.process.kill()


def play_far(folder: Path, replicas: int) -> Row:
    chance = random.Random(31)
    rows = [
        fail_over(folder / str(number), replicas, 0.5 + chance.random())
        for number in range(FAILOVERS)
    ]
    lost = [its for _, its in rows]
    values: dict[str, Value] = {
        "blows": len(rows),
        "commands": sum(told for told, _ in rows),
        "lost": sum(lost),
        "blows that lost some": sum(its > 0 for its in lost),
        "lost by one at most": max(lost),
    }
    if replicas:
        return Row(values, good=not any(lost))
    return Row(values, good=True, limit=True)


def _put(number: int) -> PutObject:
    payload = InlinePayload(data=b"x")
    return PutObject(tenant_id=TENANT, env=ENV, key=f"k{number}", payload=payload)


def _unknown(state: State, op_ids: Sequence[str]) -> int:
    shard = Ledger(state, SETTINGS).shards.shard(TENANT, ENV)
    key = f"{shard}:ids:{TENANT}/{ENV}"
    entries = state.run([("HEXISTS", key, op_id) for op_id in op_ids])
    return entries.count(0)
