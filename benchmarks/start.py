"""How soon the command line has said what it can say without a server."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.figure import NOISE, Figure
from benchmarks.part import Bench

ROUNDS = 7
PROGRAM = """\
import sys
sys.argv[0] = "signalbox"
from signalbox.producers.cli.main import main
main()
"""
"""What the installed command does."""
COMMANDS = {
    "--help": ("--help",),
    "--version": ("--version",),
    "object put --help": ("object", "put", "--help"),
    "context list": ("context", "list"),
    "schema object_store.put": ("schema", "object_store.put"),
    "backends": ("backends",),
}
COMPLETION = "completion of a subcommand"
MAX_RATIO = 6.0
"""Times a bare Python: 0.3 s, where that takes 50 ms."""


def start_cost(bench: Bench) -> list[Figure]:
    """Milliseconds of each, and how many times what a bare Python takes."""
    del bench
    with tempfile.TemporaryDirectory() as config:
        environment = os.environ | {"XDG_CONFIG_HOME": config}
        completing = environment | {
            "_SIGNALBOX_COMPLETE": "complete_bash",
            "COMP_WORDS": "signalbox object ",
            "COMP_CWORD": "2",
        }
        bare = [sys.executable, "-c", "pass"]
        program = [sys.executable, "-c", PROGRAM]
        starts = {
            "python -c pass": (bare, environment),
            **{name: ([*program, *words], environment) for name, words in COMMANDS.items()},
            COMPLETION: (program, completing),
        }
        # In turns, and once before it counts: other work on the machine slows all of them.
        rounds = [
            {name: _milliseconds(*start) for name, start in starts.items()}
            for _ in range(ROUNDS + 1)
        ][1:]
    figures = []
    for name in starts:
        times = [each[name] for each in rounds]
        figures.append(Figure(name, statistics.median(times), "ms"))
        if name != "python -c pass":
            ratio = statistics.median(each[name] / each["python -c pass"] for each in rounds)
            title = f"{name} to bare Python"
            figures.append(Figure(title, ratio, "x", most=MAX_RATIO, tolerance=NOISE))
    return figures


def _milliseconds(command: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - ours
    return (time.perf_counter() - started) * 1e3
