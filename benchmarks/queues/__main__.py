"""`python -m benchmarks.queues`: the same durable put through Signalbox and other queues."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.queues.compare import NAMES, queue_cost
from benchmarks.queues.profile import profile_signalbox


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queues", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load a row")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--profile", choices=["signalbox"], help="where its time goes instead")
    parser.add_argument("--appendfsync", choices=["always", "everysec"], default="always")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-queues-") as folder:
        if options.profile:
            profile_signalbox(Console(), Path(folder), options.seconds)
            return
        console = Console()
        measured = queue_cost(
            console, Path(folder), options.seconds, options.only, options.appendfsync
        )
        for figure in measured:
            if figure.unit in ("x", "%"):
                console.print(f"{figure.name}: {figure.spelled} {figure.unit} {figure.aim}")


if __name__ == "__main__":
    main()
