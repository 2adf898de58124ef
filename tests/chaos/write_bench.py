"""One write on one backend: struck down name by name, taken over, and looked at."""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.model import Command, new_op_id
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode
from signalbox.producers.client.client import Client
from signalbox.routing.route import Route
from tests.chaos.strike import (
    answer_of,
    execute,
    execute_all,
    forked,
    thaw,
    wait_frozen,
    wait_killed,
)
from tests.chaos.write import Found, Write

TURN, KILLED_TURNS, FROZEN_TURNS = 10, 5, 2
LOCKED_TURNS = 4
"""Of a backend whose frozen writer holds a lock: one name a turn."""
LEASE, CLOUD_LEASE = 2.0, 5.0
"""Requests to cloud object stores end whole seconds before their lease."""
AT_ONCE = 2
"""Forked at the same time: more would only use up one another's leases."""
KILLS = ("effect.after=kill", "effect.after=kill", "effect.after=kill", "effect.after=kill",
         "effect.before=kill@2")  # fmt: skip


class Bench:
    """One write on one backend, a ledger of its own, and the counts."""

    def __init__(
        self, write: Write, route: Route, client: Client, folder: Path, *, fenced: bool
    ) -> None:
        question = _last_question(write, route.backend_type, fenced=fenced)
        self._freeze = f"effect.before=stop@{question}"
        self._write, self._route, self._client, self._folder = write, route, client, folder
        # A server may serve several rows one after the other.
        self._own = uuid.uuid4().hex[:8]
        self.counts = Counter[str]()
        self.notes: list[str] = []

    def killed_turn(self, turn: int) -> None:
        """Kill a writer a name; every other name has a newer write by then."""
        names = [f"k{self._own}-{turn}-{number}" for number in range(TURN)]
        fault = KILLS[turn % len(KILLS)]
        struck = self._strike(names, fault, wait_killed, "killed")
        self._take_over(names, struck, newer=set(names[::2]))
        self._look(names, newer=set(names[::2]))

    def frozen_turn(self, turn: int) -> None:
        """Freeze a writer a name; it wakes when a newer write has been done."""
        names = [f"f{self._own}-{turn}-{number}" for number in range(TURN)]
        frozen: list[int] = []
        struck = self._strike(names, self._freeze, partial(_is_frozen, frozen), "frozen")
        try:
            self._take_over(names, struck, newer=set(names))
        finally:
            for child in frozen:
                thaw(child)
        self._look(names, newer=set(names))

    def locked_turn(self, turn: int) -> None:
        """As `frozen_turn`, where the frozen writer holds the database's lock: the takeover waits
        for it, and it wakes when its lease is over and the takeover has tried."""
        names = [f"l{self._own}-{turn}"]
        frozen: list[int] = []
        struck = self._strike(names, self._freeze, partial(_is_frozen, frozen), "frozen")
        later = [self._write.newer(name, "new") for name in names]
        self._client.submit_many(later)
        takeover = forked(partial(execute_all, [*struck, *later]))
        time.sleep(LEASE + 1)
        for child in frozen:
            thaw(child)
        os.waitpid(takeover, 0)
        self.counts["commands"] += 2
        self._look(names, newer=set(names))

    def _strike(
        self,
        names: list[str],
        fault: str,
        struck_down: Callable[[int], bool],
        count: str,
    ) -> list[Command]:
        if self._write.before is not None:
            before = [self._write.before(name, "old") for name in names]
            self._client.submit_many(before)
            answer_of(lambda: execute_all(before), self._folder)
        commands = [self._write.struck(name, "old") for name in names]
        running: deque[int] = deque()
        for command in commands:
            self._client.submit(command)
            running.append(forked(partial(execute, [command], fault)))
            if len(running) == AT_ONCE:
                self.counts[count] += struck_down(running.popleft())
        while running:
            self.counts[count] += struck_down(running.popleft())
        return commands

    def _take_over(self, names: list[str], struck: list[Command], newer: set[str]) -> None:
        later = [self._write.newer(name, "new") for name in names if name in newer]
        self._client.submit_many(later)
        answer_of(lambda: execute_all([*struck, *later]), self._folder)
        self.counts["commands"] += len(struck) + len(later)

    def _look(self, names: list[str], newer: set[str]) -> None:
        found: dict[str, Found] = answer_of(lambda: self._find(names), self._folder)
        for name in names:
            there = tuple(found[name])
            expected = self._write.after_newer if name in newer else self._write.after_struck
            if there == expected:
                continue
            more, less = Counter(there) - Counter(expected), Counter(expected) - Counter(there)
            if name in newer and less["new"]:
                self.counts["undone"] += 1
            elif less:
                self.counts["lost"] += 1
            elif more:
                self.counts["doubled"] += 1
            else:
                self.counts["undone"] += 1
            if len(self.notes) < 3:
                self.notes.append(f"{name} holds {there}, not {expected}")

    def _find(self, names: list[str]) -> dict[str, Found]:
        route = self._route
        context = AdapterContext(scope=route.scope, mode=Mode.LAB, config=route.config)
        store = find_backend(route.scope.kind, route.backend_type).open(context)
        payloads = DirectoryPayloadStore(self._folder / "payloads")
        return {
            name: self._write.find(
                store, Call(new_op_id(), 1, False, lease_clock() + 60, payloads), name
            )
            for name in names
        }


def _last_question(write: Write, backend_type: str, *, fenced: bool) -> int:
    """Which question for the lease is the one right before the send: the first on S3, the second of
    each request on Azure. A fenced delete there leaves a tombstone first."""
    if backend_type not in ("s3", "azure_blob"):
        return 1
    requests = 2 if fenced and write.name == "delete" else 1
    return requests * (2 if backend_type == "azure_blob" else 1)


def _is_frozen(frozen: list[int], child: int) -> bool:
    stopped = wait_frozen(child)
    if stopped:
        frozen.append(child)
    return stopped
