"""The gateway beside a bare FastAPI route that writes to the same backend, in one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median

import psutil

from benchmarks.figure import Figure, Spread
from benchmarks.part import Bench
from benchmarks.stub import ROOT, running
from benchmarks.testbed import Testbed, cpu_of, open_testbed

TENANT = "t_bench"
PATH = f"/v1/objects/{TENANT}/dev/"
CLIENTS = 64
WIDE = 0.6
"""The two wait for syncs of different files: three runs on a busy disk gave 1.0 to 2.3."""
HALVES = 3
"""Rounds of gets at half load."""
MIB = 1024**2
LARGE = 1024 * MIB


@dataclass(frozen=True)
class Load:
    """What clients saw, and what it took."""

    seconds: list[float]
    wall: float
    cpu: dict[str, float]
    """Seconds of processor time, by who took them."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.wall

    @property
    def spread(self) -> Spread:
        """Of one answer, milliseconds."""
        return Spread([1000 * each for each in self.seconds])

    def micros(self, what: str) -> list[Figure]:
        """Microseconds of processor time of one request, of each process."""
        each = {who: 1e6 * spent / len(self.seconds) for who, spent in self.cpu.items()}
        return [Figure(f"{what}: {who}", micros, "µs") for who, micros in each.items()]


@dataclass(frozen=True)
class MeasuredGateway:
    """A gateway with its workers and Redis."""

    testbed: Testbed
    base: str
    pid: int

    def load(self, method: str, seconds: float, rate: float = 0.0) -> Load:
        """What 64 clients get from it."""
        before = self._cpu()
        found = _load(self.base, method, PATH, seconds, rate)
        return replace(
            found, cpu={who: now - before[who] for who, now in self._cpu().items()} | found.cpu
        )

    def _cpu(self) -> dict[str, float]:
        spent = self.testbed.spent()
        gateway = cpu_of([psutil.Process(self.pid)])
        return {"gateway": gateway, "workers": spent.workers, "Redis": spent.redis}


def gateway_cost(bench: Bench) -> list[Figure]:
    """Puts a second, how long gets take, and memory of 1 GiB each way.

    Gets at half load are measured in three rounds. p50 and p99 are each the median of those of the
    rounds: one stall of the machine is more than a hundredth of a round's answers.
    Raises RuntimeError if an answer was not what it should be.
    """
    folder = bench.data / "bare"
    folder.mkdir()
    with open_testbed(bench.data / "stack") as it, running("bare_route", str(folder)) as bare:
        it.route(TENANT)
        base = it.stack.start_gateway(SIGNALBOX_GATEWAY_PORT="0")
        gateway = it.stack.gateway
        assert gateway is not None  # noqa: S101 - just started
        measured = MeasuredGateway(it, base, gateway.pid)
        # Whatever is made with the first request.
        measured.load("PUT", 1.0)
        _load(bare, "PUT", "/", 1.0)
        # In turns, since the machine has other things to do as well.
        puts, theirs = [], []
        for _ in range(2):
            puts.append(measured.load("PUT", bench.seconds))
            theirs.append(_load(bare, "PUT", "/", bench.seconds).rate)
        put = max(puts, key=lambda found: found.rate)
        measured.load("GET", 1.0)
        get = measured.load("GET", bench.seconds)
        halves = [measured.load("GET", bench.seconds, get.rate / 2).spread for _ in range(HALVES)]
        p50 = median(each.median for each in halves)
        p99 = median(each.at(99) for each in halves)
        put_mib, get_mib = _large(base, gateway.pid)
    return [
        Figure("durable 1 KiB puts of 64 clients", put.rate, "puts/s", least=1500),
        Figure("the same by a bare FastAPI route", max(theirs), "puts/s"),
        Figure("puts, to the bare route", put.rate / max(theirs), "x", least=0.8, tolerance=WIDE),
        *put.micros("processor time of a put"),
        Figure("gets of 1 KiB by 64 clients", get.rate, "gets/s"),
        Figure("get at half of that load, p50", p50, "ms", most=2),
        Figure("get at half of that load, p99", p99, "ms", most=10),
        *get.micros("processor time of a get"),
        Figure("memory of a 1 GiB put, above idle", put_mib, "MiB", most=64),
        Figure("memory of a 1 GiB get, above idle", get_mib, "MiB", most=64),
    ]


def _load(base: str, method: str, path: str, seconds: float, rate: float = 0.0) -> Load:
    said = subprocess.run(  # noqa: S603 - this program
        [
            *(sys.executable, "-m", "benchmarks.http_load", base, method, path),
            *("--clients", str(CLIENTS), "--for", str(seconds), "--rate", str(rate)),
        ],
        check=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    found = json.loads(said.stdout)
    if found["failed"]:
        raise RuntimeError(f"{found['failed']} of {len(found['seconds'])} {method}s failed")
    return Load(found["seconds"], found["wall"], {"clients": found["cpu"]})


def _large(base: str, pid: int) -> tuple[float, float]:
    """MiB that the gateway takes above idle, at most, for a put and a get of 1 GiB."""
    url = f"{base}{PATH}large"
    with _watched(pid) as put:
        body = _Zeros(LARGE)
        request = urllib.request.Request(url, data=body, method="PUT")  # noqa: S310 - our own
        request.add_header("Content-Length", str(LARGE))
        request.add_header("Prefer", "wait=300")
        with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
            if answer.status != 200:
                raise RuntimeError(f"the large put was answered {answer.status}")
    with _watched(pid) as get, urllib.request.urlopen(url, timeout=600) as answer:  # noqa: S310
        size = 0
        while chunk := answer.read(MIB):
            size += len(chunk)
        if size != LARGE:
            raise RuntimeError(f"the large get brought {size} bytes")
    return put.mib, get.mib


class _Zeros:
    """A body that is made as it is read."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._block = os.urandom(MIB)

    def read(self, size: int = -1) -> bytes:
        part = self._block[: min(len(self._block), self._left, size if size >= 0 else MIB)]
        self._left -= len(part)
        return part


class _Memory:
    """The most that a process took above what it had at first."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._idle = self._most = self._process.memory_info().rss

    def look(self) -> None:
        self._most = max(self._most, self._process.memory_info().rss)

    @property
    def mib(self) -> float:
        return (self._most - self._idle) / MIB


@contextmanager
def _watched(pid: int) -> Iterator[_Memory]:
    memory, over = _Memory(pid), threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            memory.look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield memory
    finally:
        memory.look()
        over.set()
        watcher.join()
