"""Output of the command line, as text or JSON; the terminal never gets control characters."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

import typer

from signalbox.commands.visible import visible, visible_json

if TYPE_CHECKING:  # rich takes a while to import, and JSON and help do not need it
    from signalbox.producers.cli.safe_console import SafeConsole

LONG_WORD = 32
"""Maximum width of a word in a table; longer words may be folded."""


@cache
def out() -> SafeConsole:
    """Standard output."""
    return _console(sys.stdout)


@cache
def err() -> SafeConsole:
    """Standard error."""
    return _console(sys.stderr, stderr=True)


def print_json(document: Any, *, to_error: bool = False) -> None:
    text = json.dumps(document, ensure_ascii=False, default=str)
    typer.echo(visible_json(text), err=to_error)


def print_pairs(document: dict[str, Any]) -> None:
    """Print names and values, one pair on a line."""
    shown = {n: v for n, v in document.items() if v not in (None, "", {}, [])}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        # Never wrapped: what is printed here is copied elsewhere.
        text = f"[bold]{name:{width}}[/bold]  {_plain(value)}"
        out().print(text, soft_wrap=True, highlight=False)


def print_rows(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table; if its words do not fit side by side, print each row as names and values."""
    from rich.markup import escape
    from rich.table import Table

    cells = [[_plain(value) for value in row] for row in rows]
    if not rows:
        out().print(f"{escape(title)}: none", highlight=False)
    elif _width_needed(columns, cells) > out().width:
        out().print(f"[italic]{escape(title)}[/italic]", highlight=False)
        for row in rows:
            out().print("─" * min(20, out().width), style="dim")
            print_pairs(dict(zip([name or "·" for name in columns], row, strict=True)))
    else:
        table = Table(title=title, title_justify="left")
        for column in columns:
            table.add_column(column, overflow="fold")
        for each in cells:
            table.add_row(*each)
        out().print(table)


def _width_needed(columns: list[str], rows: list[list[str]]) -> int:
    """Return the minimum width at which a table is readable: with whole words, except very long
    ones."""
    from rich.cells import cell_len

    widths = [
        max(cell_len(word) for cell in column for word in (cell.split() or [""]))
        for column in zip(columns, *rows, strict=True)
    ]
    return sum(min(width, LONG_WORD) for width in widths) + 3 * len(columns) + 1


def _plain(value: Any) -> str:
    from rich.markup import escape

    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    # Not even a line of its own: what follows could pass for another answer.
    return escape("" if value is None else visible(text))


def _console(stream: TextIO, *, stderr: bool = False) -> SafeConsole:
    from signalbox.producers.cli.safe_console import SafeConsole

    # Into a pipe or a file nothing is cut to a terminal's width, unless COLUMNS says one.
    is_free = not (stream.isatty() or os.environ.get("COLUMNS", "").isdecimal())
    return SafeConsole(stderr=stderr, width=240 if is_free else None)
