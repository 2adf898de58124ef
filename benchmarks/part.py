"""A part of the benchmarks: what it measures, under which letter, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.figure import Figure

LETTERS = {
    "a": "The same durable put, through Signalbox and through other queues",
    "b": "Small objects on S3, through the adapter and by bare SDK",
    "c": "Rows, points and events in bulk",
    "d": "The control plane: routes, fences, changes",
    "e": "Large contents, and memory",
    "f": "How cost grows",
    "g": "The command line",
}


class CannotMeasure(Exception):
    """This machine has not what a part needs; the message says what to install."""


@dataclass(frozen=True)
class Bench:
    """One run: where it prints and keeps files, and how long."""

    console: Console
    data: Path
    """An empty folder of this part alone."""
    seconds: float
    """Of load for each row that is a load."""
    full: bool
    """With the rows that take long."""


@dataclass(frozen=True)
class Part:
    """`measure` raises CannotMeasure where the machine lacks something."""

    name: str
    letter: str
    title: str
    text: str
    measure: Callable[[Bench], Sequence[Figure]]
    quick: bool = False
    """Its ratios are compared by `make bench-check`."""
