"""Where the command line prints, as text or JSON: nothing shown there commands the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

from signalbox.commands.visible import visible, visible_json


class SafeConsole(Console):
    """Keys, reasons and rows come from strangers: no text reaches the terminal as a command."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment  # of rich itself, such as a progress bar's
            else:
                yield segment._replace(text=visible(segment.text, keep="\n\t"))


# Into a pipe or a file nothing is cut to a terminal's width.
out = SafeConsole(width=None if sys.stdout.isatty() else 240)
err = SafeConsole(stderr=True, width=None if sys.stderr.isatty() else 240)


def print_json(document: Any, *, to_error: bool = False) -> None:
    text = json.dumps(document, ensure_ascii=False, default=str)
    typer.echo(visible_json(text), err=to_error)


def print_pairs(document: dict[str, Any]) -> None:
    """Names and values, one a line."""
    shown = {n: v for n, v in document.items() if v not in (None, "", {}, [])}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        # Never wrapped: what is printed here is copied elsewhere.
        out.print(f"[bold]{name:{width}}[/bold]  {_plain(value)}", soft_wrap=True, highlight=False)


def print_rows(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_plain(value) for value in row))
    out.print(table)


def _plain(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    # Not even a line of its own: what follows could pass for another answer.
    return escape("" if value is None else visible(text))
