"""What `make chaos` is made of: parts, each of a few plays, each of which ends in a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Value = str | int | float


@dataclass(frozen=True)
class Row:
    """What came of a play: figures by column, and whether all that was promised was kept."""

    values: Mapping[str, Value]
    good: bool
    notes: list[str] = field(default_factory=list)
    limit: bool = False
    """Kept as far as promised; figures beyond that show a limit that the documents name."""
    promised: bool = True
    """False: figures to compare with, of something that is not ours."""


Play = Callable[[Path], Row]
"""Plays in a folder of its own."""


@dataclass(frozen=True)
class Part:
    """One question, and the plays that answer it."""

    name: str
    title: str
    text: str
    """What is done, and how it is judged: a paragraph of the document."""
    plays: Mapping[str, Play]
    """By the name of the row."""


class CannotRun(Exception):
    """What a play needs is not on this machine; the text says what to install."""
