"""Rows from standard input to the embedded backend: how fast, and in how much memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

TENANT = "t_bench"
LINES = (10_000, 100_000)
MIB = 1024 * 1024
COMMAND = [sys.executable, "-m", "producers.cli.main", "table", "upsert"]


def ingest_cost(console: Console, data: Path, workers: Sequence[int]) -> None:
    """Rows a second, and the peak resident memory of the command line and of a worker.

    `workers` are process ids. Memory is flat if the second row is like the first.
    """
    table = Table(title=f"signalbox table upsert TABLE -, {len(workers)} workers")
    for column in ("lines", "lines/s", "command line, peak MiB", "worker, peak MiB"):
        table.add_column(column, justify="right")
    for number in LINES:
        source = data / "rows.jsonl"
        _write_rows(source, number)
        started = time.perf_counter()
        with source.open("rb") as stdin:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [*COMMAND, f"b{number}", "-", "-t", TENANT, "-e", "dev", "--json"],
                stdin=stdin,
                stdout=subprocess.PIPE,
            )
        peaks = _peaks(process, workers)
        seconds = time.perf_counter() - started
        assert process.stdout is not None  # noqa: S101 - for the type checker
        counts = json.loads(process.stdout.read())
        process.stdout.close()
        if counts["stored"] != number:
            raise RuntimeError(f"not all rows were stored: {counts}")
        memory = [f"{peak / MIB:.0f}" for peak in peaks]
        table.add_row(f"{number:,}", f"{number / seconds:,.0f}", *memory)
    console.print(table)


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
