"""One turn of a queue: how fast and at what cost, under load and at a fixed rate."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from benchmarks.disk import appended_ms
from benchmarks.figure import Spread
from benchmarks.queues.contender import Contender, await_effects

PRODUCERS = 4
"""Threads that enqueue, so that one connection's round trips do not bound the queue."""
CALLS, LONGER = 5, 5
"""Calls of each producer in a turn; as many times longer may a turn be for their sake."""
MAX_COMMANDS = 20_000
"""Commands in a turn."""
RATE = 40.0
"""Commands a second, far from saturation, of the latency."""
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Cpu:
    """Seconds of processor time, by process."""

    client: float
    redis: float
    workers: float

    @property
    def all(self) -> float:
        return self.client + self.redis + self.workers

    def since(self, earlier: Cpu) -> Cpu:
        return Cpu(
            self.client - earlier.client,
            self.redis - earlier.redis,
            self.workers - earlier.workers,
        )


@dataclass(frozen=True)
class Turn:
    """So many commands, from the first enqueue to the last effect (of Signalbox: to the last
    recorded outcome). `wall` in seconds."""

    commands: int
    wall: float
    cpu: Cpu
    sync_ms: float
    """What one sync of a small append took, immediately before."""

    @property
    def rate(self) -> float:
        """Commands a second."""
        return self.commands / self.wall

    @property
    def micros(self) -> float:
        """Processor time a command of producer, workers and Redis."""
        return self.each(self.cpu.all)

    def each(self, seconds: float) -> float:
        """Microseconds of one command."""
        return seconds / self.commands * 1e6


@dataclass(frozen=True)
class Paced:
    """A turn at the fixed rate: processor time with what workers do while they wait, and
    milliseconds from when a command was due to its effect."""

    turn: Turn
    waits: Spread


def turn_size(rate: float, size: int, seconds: float) -> int:
    """Commands of a turn, in full calls: what takes about so long at this rate, and enough calls
    to keep all producers at work, if these do not take several times as long."""
    enough = min(PRODUCERS * CALLS * size, rate * LONGER * seconds)
    return max(1, round(min(max(rate * seconds, enough), MAX_COMMANDS) / size)) * size


def loaded(queue: Contender, name: str, commands: int, redis_pid: int) -> Turn:
    """As fast as it goes. Raises RuntimeError if an effect is missing."""
    names = [f"k{next(_NUMBERS):09}" for _ in range(commands)]
    calls = [names[start : start + queue.size] for start in range(0, commands, queue.size)]
    with queue.crew.awake():
        queue.begin(name, names)
        synced = appended_ms()
        cpu, started = _cpu(queue, redis_pid), time.perf_counter()
        with ThreadPoolExecutor(PRODUCERS) as producers:
            shares = [calls[number::PRODUCERS] for number in range(PRODUCERS)]
            for sending in [producers.submit(_send, queue, share) for share in shares]:
                sending.result()
        watching = await_effects(queue.effects, commands)
        wall = time.perf_counter() - started
        spent = _cpu(queue, redis_pid, watching).since(cpu)
    return Turn(commands, wall, spent, synced)


def paced(queue: Contender, name: str, seconds: float, redis_pid: int) -> Paced:
    """Open loop: what is late counts from when it was due."""
    names = [f"p{next(_NUMBERS):09}" for _ in range(int(RATE * seconds))]
    with queue.crew.awake():
        queue.begin(name, names)
        synced = appended_ms()
        due: dict[str, int] = {}
        cpu, started = _cpu(queue, redis_pid), time.time_ns()
        for number, each in enumerate(names):
            due[each] = started + int(number * 1e9 / RATE)
            time.sleep(max(0.0, (due[each] - time.time_ns()) / 1e9))
            queue.send([each])
        watching = await_effects(queue.effects, len(names))
        wall = (time.time_ns() - started) / 1e9
        spent = _cpu(queue, redis_pid, watching).since(cpu)
        moments = queue.moments()
    moments = {each: moments[each] for each in names}
    waits = [(moments[each] - due[each]) / 1e6 for each in names]
    return Paced(Turn(len(names), wall, spent, synced), Spread(waits))


def _send(queue: Contender, calls: Sequence[Sequence[str]]) -> None:
    for names in calls:
        queue.send(names)


def _cpu(queue: Contender, redis_pid: int, watching: float = 0.0) -> Cpu:
    own, times = os.times(), psutil.Process(redis_pid).cpu_times()
    return Cpu(own.user + own.system - watching, times.user + times.system, queue.crew.cpu())
