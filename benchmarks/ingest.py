"""Rows from standard input to the embedded backend: how fast, and in how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.figure import NOISE, Figure
from benchmarks.part import Bench
from benchmarks.testbed import ENV, open_testbed
from signalbox.commands.scope import ResourceKind

TENANT = "t_bench"
LINES = (10_000, 100_000)
MIB = 1024 * 1024
WHO = ("the command line", "a worker")
GROWTH_AIM = 1.25
"""Memory is flat: ten times the lines take so many times the memory at most."""
COMMAND = [sys.executable, "-m", "signalbox.producers.cli.main", "table", "upsert"]


def ingest_cost(bench: Bench) -> list[Figure]:
    """Rows a second, and the peak resident memory of the command line and of a worker, which is
    flat if 100,000 lines take as much as 10,000."""
    figures, peaks = [], {}
    with open_testbed(bench.data) as it:
        it.route(TENANT, ResourceKind.TABULAR_STORE)
        workers = [worker.pid for worker in it.stack.workers]
        for number in LINES:
            rate, *peaks[number] = _ingest(bench.data, it.stack.environment, number, workers)
            what = f"{number:,} lines"
            figures.append(Figure(f"table upsert from {what}", rate, "rows/s"))
            for who, peak in zip(WHO, peaks[number], strict=True):
                figures.append(Figure(f"peak of {who}, {what}", peak / MIB, "MiB"))
    for who, few, many in zip(WHO, *peaks.values(), strict=True):
        name = f"peak of {who}, {LINES[1]:,} to {LINES[0]:,} lines"
        figures.append(Figure(name, many / few, "x", most=GROWTH_AIM, tolerance=NOISE))
    return figures


def _ingest(
    data: Path, environment: dict[str, str], number: int, workers: Sequence[int]
) -> tuple[float, int, int]:
    """Rows a second, and both peaks in bytes."""
    source = data / "rows.jsonl"
    _write_rows(source, number)
    started = time.perf_counter()
    with source.open("rb") as stdin:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, f"b{number}", "-", "-t", TENANT, "-e", ENV, "--json"],
            stdin=stdin,
            stdout=subprocess.PIPE,
            env=os.environ | environment,
        )
    own, theirs = _peaks(process, workers)
    seconds = time.perf_counter() - started
    assert process.stdout is not None  # noqa: S101 - for the type checker
    counts = json.loads(process.stdout.read())
    process.stdout.close()
    if counts["stored"] != number:
        raise RuntimeError(f"not all rows were stored: {counts}")
    return number / seconds, own, theirs


def _write_rows(source: Path, number: int) -> None:
    with source.open("w") as sink:
        for n in range(number):
            data = {"number": n, "name": f"name of {n}", "score": n / 7, "text": "x" * 100}
            sink.write(json.dumps({"key": f"k{n:07}", "data": data}) + "\n")


def _peaks(process: subprocess.Popen[bytes], workers: Sequence[int]) -> tuple[int, int]:
    """Bytes: of the process until it ends, and the most of any worker in the meantime."""
    own, theirs = 0, 0
    watched = [psutil.Process(pid) for pid in workers]
    itself = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            own = max(own, itself.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        theirs = max([theirs, *(worker.memory_info().rss for worker in watched)])
        time.sleep(0.05)
    process.wait()
    return own, theirs
