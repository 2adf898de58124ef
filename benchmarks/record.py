"""Keeps the newest figures in docs/benchmarks.json, and writes docs/benchmarks.md from them."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.disk import synced_ms
from benchmarks.figure import Figure, load_average
from benchmarks.part import LETTERS, Part
from tests.chaos.record import facts

DOCS = Path(__file__).parents[1] / "docs"
RECORD, DOCUMENT, DRAWING = "benchmarks.json", "benchmarks.md", "benchmarks.svg"
MEASURED = ("value", "low", "high")
"""Of a figure: kept with the digits that count."""

HEAD = """\
# Benchmarks

What Signalbox costs, as measured by `make bench`, which also wrote this page.

![Commands a second of Signalbox and other queues, and processor time a command](benchmarks.svg)

**How to read it.** Times and rates are those of one machine, named beneath each table with its load
average at the end of the part; on a machine that other programs use as well they are worse than
they need be. A ratio (unit `x`) compares two things that were measured in the same run, on the same
Redis and the same disk: it says what a way of working saves, and holds on other machines too.
Beside the median of several rounds, the middle half of them stands in parentheses. Every
Redis here syncs its append-only file before it answers (`appendfsync always`), and every put, row,
point and event is synced before it counts. *Processor time* is that of all processes together:
producer, workers and Redis.

**Again.** `make bench` measures everything but the rows that take long (the parts on this page took
MINUTES minutes together); `make bench-full` those too; `make bench ARGS="ledger bulk"` these parts
alone. `make bench-check` measures the quick parts once more (others where `ARGS` names them),
compares their ratios with the ones here, and fails if one got worse by more than its tolerance (in
the last column): it never looks at times. A part in which one fell is measured once more, and only
what fell both times counts.
"""


@dataclass(frozen=True)
class Kept:
    """A part as it was measured last."""

    figures: list[Figure]
    facts: str
    """The machine and the load, in a line."""
    seconds: float


def keep(part: Part, figures: Sequence[Figure], seconds: float, folder: Path = DOCS) -> None:
    """Replace a part's figures in the record."""
    with (folder / RECORD).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        record: dict[str, Any] = json.loads(file.read() or "{}")
        record[part.name] = {
            "facts": f"{facts()}, a synced write of 4 KiB {synced_ms():.2f} ms, {load_average()}",
            "seconds": round(seconds),
            "figures": [_row(figure) for figure in figures],
        }
        file.seek(0)
        file.truncate()
        file.write(json.dumps(record, indent=1) + "\n")


def read(folder: Path = DOCS) -> dict[str, Kept]:
    """All that is kept, by part; nothing where nothing was measured."""
    path = folder / RECORD
    record = json.loads(path.read_text()) if path.exists() else {}
    return {
        name: Kept([Figure(**row) for row in part["figures"]], part["facts"], part["seconds"])
        for name, part in record.items()
    }


def write(parts: Sequence[Part], folder: Path = DOCS) -> None:
    """The document, from all that is kept."""
    record = read(folder)
    minutes = sum(kept.seconds for kept in record.values()) / 60
    lines = [HEAD.replace("MINUTES", f"{minutes:.0f}")]
    for letter, title in LETTERS.items():
        its = [part for part in parts if part.letter == letter and part.name in record]
        if its:
            lines += [f"## {letter}. {title}", ""]
        for part in its:
            lines += _section(part, record[part.name])
    missing = [f"- `{part.name}`: {part.title}" for part in parts if part.name not in record]
    if missing:
        lines += ["## What was not measured", "", *missing, ""]
    (folder / DOCUMENT).write_text("\n".join(lines))


def _row(figure: Figure) -> dict[str, Any]:
    """Without what is left at its default; four digits that count."""
    default = asdict(Figure("", 0, ""))
    row = {name: its for name, its in asdict(figure).items() if its != default[name]}
    row |= {"value": figure.value, "unit": figure.unit}
    return row | {name: float(f"{row[name]:.4g}") for name in MEASURED if name in row}


def _section(part: Part, kept: Kept) -> list[str]:
    lines = [f"### {part.title}", "", part.text.strip(), ""]
    lines.append("|  | figure | unit | aim | verdict | checked within |")
    lines.append("| --- | ---: | --- | ---: | --- | ---: |")
    for figure in kept.figures:
        cells = [figure.name, figure.spelled, figure.unit, figure.aim or "–"]
        cells += [verdict(figure), f"{figure.tolerance:.0%}" if figure.tolerance else "–"]
        lines.append("| " + " | ".join(cells) + " |")
    again = f"Again with: `make bench ARGS={part.name}` ({kept.seconds:.0f} s)."
    return [*lines, "", f"Measured on: {kept.facts}. {again}", ""]


def verdict(figure: Figure) -> str:
    if figure.kept is None:
        return "–"
    return "met" if figure.kept else "**missed**"
