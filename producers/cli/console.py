"""Output of the command line, as text or JSON; the terminal never gets control characters."""

from __future__ import annotations

import json
import os
import shutil
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

import typer

from signalbox.commands.visible import visible, visible_json
from signalbox.producers.cli.text_table import lay_out

if TYPE_CHECKING:  # rich takes a while to import, and most commands do not need it
    from signalbox.producers.cli.safe_console import SafeConsole


KEPT = "\n\t"
"""Control characters that messages of our own may contain."""


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
        typer.echo(f"{_bold(f'{name:{width}}')}  {_text(value)}")


def print_rows(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table; if its words do not fit side by side, print each row as names and values."""
    if not rows:
        typer.echo(f"{title}: none")
        return
    cells = [[_text(value) for value in row] for row in rows]
    width = terminal_width(sys.stdout)
    lines = lay_out(columns, cells, width)
    typer.echo(title)
    if lines is None:
        for row in rows:
            typer.echo("─" * min(20, width))
            print_pairs(dict(zip([name or "·" for name in columns], row, strict=True)))
        return
    typer.echo(_bold(lines[0]))
    for line in lines[1:]:
        typer.echo(line)


def print_error(code: str, text: str) -> None:
    """Print a failure to standard error."""
    typer.echo(f"{typer.style(code, fg='red', bold=True)} {visible(text, keep=KEPT)}", err=True)


def terminal_width(stream: TextIO) -> int:
    """Return the columns of the terminal, or those that COLUMNS says.

    Into a pipe or a file nothing is cut to a terminal's width: it is 240 there.
    """
    if stream.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return shutil.get_terminal_size().columns
    return 240


def _bold(text: str) -> str:
    return typer.style(text, bold=True)


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    # Not even a line of its own: what follows could pass for another answer.
    return "" if value is None else visible(text)


def _console(stream: TextIO, *, stderr: bool = False) -> SafeConsole:
    from signalbox.producers.cli.safe_console import SafeConsole

    return SafeConsole(stderr=stderr, width=None if stream.isatty() else terminal_width(stream))
