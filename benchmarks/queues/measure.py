"""What one queue costs: commands a second, processor time, and latency at a fixed rate."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from benchmarks.figure import Spread
from benchmarks.queues.contender import Contender

PRODUCERS = 4
"""Threads that enqueue, so that one connection's round trips do not bound the queue."""
ROUNDS = 3
WARM = 100
MOST = 20_000
"""Commands in a round."""
PATIENCE = 60.0
"""Seconds within which a round must have taken effect."""
RATE = 40.0
"""Commands a second, far from saturation, of the latency."""
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Round:
    """So many commands, in seconds of wall time and of all processes' processor time."""

    commands: int
    wall: float
    cpu: float


@dataclass(frozen=True)
class QueueCost:
    """Medians over the rounds."""

    rate: float
    """Commands a second, from the first enqueue to the last effect."""
    micros: float
    """Processor time a command of producer, workers and Redis."""
    idle_micros: float
    """The same at the fixed rate, with what workers do while they wait."""
    p50: float
    """Milliseconds from send to effect; not a number where the rate is too high for the queue."""
    p99: float


def measure(queue: Contender, redis_pid: int, seconds: float) -> QueueCost:
    """Raises RuntimeError if an effect is missing."""
    warm = _round(queue, "warm", _whole(WARM, queue.size), redis_pid)
    rounds: list[Round] = []
    for number in range(ROUNDS):
        last = rounds[-1] if rounds else warm
        commands = _whole(min(MOST, last.commands / last.wall * seconds), queue.size)
        rounds.append(_round(queue, f"round{number}", commands, redis_pid))
    rate = statistics.median(each.commands / each.wall for each in rounds)
    micros = statistics.median(each.cpu / each.commands for each in rounds) * 1e6
    if queue.size > 1 or rate < 1.5 * RATE:
        return QueueCost(rate, micros, math.nan, math.nan, math.nan)
    paced, spread = _paced(queue, redis_pid, 2 * seconds)
    idle = paced.cpu / paced.commands * 1e6
    return QueueCost(rate, micros, idle, spread.median, spread.at(99))


def _whole(commands: float, size: int) -> int:
    return max(1, round(commands / size)) * size


def _round(queue: Contender, name: str, commands: int, redis_pid: int) -> Round:
    queue.begin(name)
    names = [f"k{next(_NUMBERS):09}" for _ in range(commands)]
    calls = [names[start : start + queue.size] for start in range(0, commands, queue.size)]
    cpu, started = _cpu(queue, redis_pid), time.perf_counter()
    with ThreadPoolExecutor(PRODUCERS) as producers:
        shares = [calls[number::PRODUCERS] for number in range(PRODUCERS)]
        sending = [producers.submit(_send, queue, share) for share in shares]
        for each in sending:
            each.result()
    watching = _await_effects(queue, commands)
    wall = time.perf_counter() - started
    return Round(commands, wall, _cpu(queue, redis_pid) - cpu - watching)


def _send(queue: Contender, calls: Sequence[Sequence[str]]) -> None:
    for names in calls:
        queue.send(names)


def _await_effects(queue: Contender, commands: int) -> float:
    """Seconds of processor time that it took to look, which are not the queue's."""
    began, end = time.thread_time(), time.monotonic() + PATIENCE
    while True:
        looked = time.perf_counter()
        found = queue.effects()
        if found == commands:
            return time.thread_time() - began
        if found > commands or time.monotonic() > end:
            raise RuntimeError(f"{found} effects of {commands} commands")
        # To look is work for the same cores: at most a twentieth of the time goes to it.
        time.sleep(max(0.005, 20 * (time.perf_counter() - looked)))


def _paced(queue: Contender, redis_pid: int, seconds: float) -> tuple[Round, Spread]:
    """Open loop: what is late counts from when it was due."""
    queue.begin("paced")
    due: dict[str, int] = {}
    cpu, started = _cpu(queue, redis_pid), time.time_ns()
    for number in range(int(RATE * seconds)):
        name = f"p{number:09}"
        due[name] = started + int(number * 1e9 / RATE)
        time.sleep(max(0.0, (due[name] - time.time_ns()) / 1e9))
        queue.send([name])
    watching = _await_effects(queue, len(due))
    spent = _cpu(queue, redis_pid) - cpu - watching
    moments = queue.moments()
    if moments.keys() != due.keys():
        raise RuntimeError(f"{len(moments)} effects of {len(due)} commands")
    waits = [(moments[name] - due[name]) / 1e6 for name in due]
    return Round(len(due), (time.time_ns() - started) / 1e9, spent), Spread(waits)


def _cpu(queue: Contender, redis_pid: int) -> float:
    """Seconds so far of producer, Redis, workers, and their children, also ended ones."""
    workers = queue.processes()
    children = [child for worker in workers for child in worker.children(recursive=True)]
    own = os.times()
    spent = own.user + own.system
    for process in [psutil.Process(redis_pid), *workers, *children]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # its parent has its time now
        spent += times.user + times.system
        spent += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return spent
