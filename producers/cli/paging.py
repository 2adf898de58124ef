"""Iterates over the pages of an answer, up to a number of entries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import typer

import signalbox
from signalbox.producers.cli.console import err

Limit = Annotated[int, typer.Option(min=1, help="Maximum number of entries.")]


def walk(
    client: signalbox.Client,
    wait: float,
    limit: int,
    ask: Callable[[int, str | None], signalbox.Command],
    entries: Callable[[dict[str, Any]], list[Any]],
) -> tuple[list[Any], str | None]:
    """Return the entries, and the cursor for more of them if there are more.

    `ask` makes the command for a page of a size that begins at a cursor; `entries` takes the
    entries from its result.
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
