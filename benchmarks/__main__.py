"""`python -m benchmarks [part …]`: measure parts, print and record them, or compare with record."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import plot, record, scaling
from benchmarks.compare import Fallen, fallen, in_both
from benchmarks.figure import Figure, load_average, spell
from benchmarks.part import Bench, CannotMeasure, Part
from benchmarks.parts import PARTS

console = Console()


def main() -> int:
    """0, or 1 if a ratio fell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="*", help=f"of {', '.join(part.name for part in PARTS)}")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load a row")
    parser.add_argument("--full", action="store_true", help="with the rows that take long")
    parser.add_argument("--check", action="store_true", help="compare ratios, and record nothing")
    parser.add_argument("--render", action="store_true", help="only write the document anew")
    options = parser.parse_args()
    chosen = _chosen(options.only)
    if options.check:
        return _check([part for part in chosen if options.only or part.quick], options.seconds)
    for part in [] if options.render else chosen:
        started = time.monotonic()
        figures = _measure(part, options.seconds, full=options.full)
        if figures:
            record.keep(part, figures, time.monotonic() - started)
    record.write(PARTS)
    kept = record.read()
    plot.draw(kept, record.DOCS / record.DRAWING)
    if not scaling.write(kept):
        console.print("docs/scaling.md was left as it is: a figure that it reckons with is missing")
    return 0


def _chosen(only: Sequence[str]) -> list[Part]:
    known = [part.name for part in PARTS]
    if unknown := [name for name in only if name not in known]:
        raise SystemExit(f"no part {', '.join(unknown)}; there are {', '.join(known)}")
    return [part for part in PARTS if not only or part.name in only]


def _measure(part: Part, seconds: float, *, full: bool) -> Sequence[Figure]:
    """Print and return the figures; none if this machine cannot have them."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            figures = part.measure(Bench(console, Path(folder), seconds, full))
        except CannotMeasure as reason:
            console.print(f"NOT MEASURED: {part.name}: {reason}")
            return []
    table = Table(title=f"{part.name}: {part.title} ({load_average()})")
    for column, side in (("", "left"), ("figure", "right"), ("unit", "left"), ("aim", "right")):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    table.add_column("verdict")
    for figure in figures:
        verdict = record.verdict(figure).strip("*")
        table.add_row(figure.name, figure.spelled, figure.unit, figure.aim, verdict)
    console.print(table)
    return figures


def _check(parts: Sequence[Part], seconds: float) -> int:
    kept = record.read()
    lost: list[Fallen] = []
    for part in [part for part in parts if part.name in kept]:
        was = kept[part.name].figures
        first = fallen(part.name, was, _measure(part, seconds, full=False))
        if first:
            console.print(f"{part.name} is measured once more: {first[0].name} fell")
            lost += in_both(first, fallen(part.name, was, _measure(part, seconds, full=False)))
    if not lost:
        console.print("no ratio fell")
        return 0
    table = Table(title="ratios that fell")
    for column in ("part", "ratio", "on record", "now", "tolerance"):
        table.add_column(column)
    for each in lost:
        now = "not measured" if each.now is None else spell(each.now)
        table.add_row(each.part, each.name, spell(each.was), now, f"{each.tolerance:.0%}")
    console.print(table)
    return 1


if __name__ == "__main__":
    sys.exit(main())
