"""Walking over the pages of an answer, up to as many entries as were asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import typer

import signalbox
from signalbox.producers.cli.console import err

Limit = Annotated[int, typer.Option(min=1, help="Entries to print at most.")]


def walk(
    client: signalbox.Client,
    wait: float,
    limit: int,
    ask: Callable[[int, str | None], signalbox.Command],
    entries: Callable[[dict[str, Any]], list[Any]],
) -> tuple[list[Any], str | None]:
    """The entries, and the cursor behind them if there are more.

    `ask` makes the command for a page of so many entries from a cursor on; `entries` takes them
    out of its result.
    """
    found: list[Any] = []
    cursor: str | None = None
    while True:
        result = client.run_outcome(
            ask(limit - len(found), cursor), timedelta(seconds=wait)
        ).unwrap()
        found += entries(result)
        cursor = result["next_cursor"]
        if cursor is None or len(found) >= limit:
            return found, cursor


def say_if_more(limit: int, cursor: str | None) -> None:
    if cursor is not None:
        err().print(f"more than {limit}; raise --limit")
