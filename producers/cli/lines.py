"""Reads rows, points and events from standard input, line by line.

A line that is not a valid JSON object of its kind ends the input: lines before it are stored, lines
after it are not sent. A command that fails is reported and does not stop the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import typer
from pydantic import ValidationError

from signalbox.commands.error import SignalboxError
from signalbox.commands.model import Command
from signalbox.commands.visible import visible
from signalbox.producers.bulk.bounded_run import DEFAULT_TIMEOUT
from signalbox.producers.bulk.ingest import Ended, Ingest, Naming, Piece
from signalbox.producers.bulk.line_input import Line, read_lines
from signalbox.producers.cli.connection import make_client
from signalbox.producers.cli.console import err, out, print_json
from signalbox.producers.cli.error_groups import ErrorGroups
from signalbox.producers.cli.interrupt import interruptible
from signalbox.producers.cli.progress import progress

Pieces = Iterator[Piece | None]


def lines_of_input() -> Iterator[Line | None]:
    return read_lines(sys.stdin.fileno())


def one_each(
    naming: Naming, make: Callable[[Line, str], Command], lines: Iterator[Line | None]
) -> Pieces:
    """Make a command for each line; `make` gets the op_id that follows from the line's number."""
    for line in lines:
        if line is None:
            yield None
            continue
        try:
            command = make(line, naming.op_id(line.number))
        except (SignalboxError, ValidationError) as error:
            raise line.fault(error) from None
        yield Piece(command, line.number, line.number, 1, len(line.text))


def store_lines(pieces: Pieces, wait: float | None, as_json: bool) -> None:
    """Store the lines, print the counts, and exit with 1 unless all were stored."""
    source = _Source(pieces)
    timeout = DEFAULT_TIMEOUT if wait is None else timedelta(seconds=wait)
    with make_client() as client:
        ingest, errors = Ingest(client, timeout), ErrorGroups()
        try:
            with _count_shown() as count:
                for ended in interruptible(ingest.run(source)):
                    count(ended.lines)
                    if ended.error is not None:
                        _report(ended, ended.error, errors, as_json)
        finally:
            for text in [] if as_json else errors.repeated():
                err().print(text, markup=False, soft_wrap=True)
            _print_counts(ingest, as_json)
    if source.fault is not None:
        raise source.fault
    if ingest.failed:
        raise typer.Exit(1)


class _Source:
    """The pieces up to the first invalid line, which is remembered so that those before it are
    stored."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self.fault: SignalboxError | OSError | None = None

    def __iter__(self) -> Pieces:
        try:
            yield from self._pieces
        except (SignalboxError, OSError) as error:
            self.fault = error


@contextmanager
def _count_shown() -> Iterator[Callable[[int], None]]:
    """A progress bar for finished lines; none if standard error is not a terminal."""
    if not err().is_terminal:
        yield lambda _: None
        return
    with progress(err()) as bar:
        task = bar.add_task("storing", total=None)
        yield lambda lines: bar.advance(task, lines)


def _report(ended: Ended, error: SignalboxError, errors: ErrorGroups, as_json: bool) -> None:
    place = f"line {ended.first}" + (f"-{ended.last}" if ended.last != ended.first else "")
    if as_json:
        document = {"first": ended.first, "last": ended.last, "op_id": ended.op_id}
        print_json(document | {"error": error.detail().model_dump()}, to_error=True)
    elif errors.add(place, error):
        err().print(
            visible(f"{place}: {error.code} {error}"), markup=False, soft_wrap=True, highlight=False
        )


def _print_counts(ingest: Ingest, as_json: bool) -> None:
    counts: dict[str, Any] = {
        "sent": ingest.sent,
        "stored": ingest.stored,
        "failed": ingest.failed,
        "open": ingest.open,
    }
    if as_json:
        print_json(counts)
        return
    more = f", {ingest.failed} failed" if ingest.failed else ""
    more += f", {ingest.open} without an outcome yet" if ingest.open else ""
    out().print(f"{ingest.stored} of {ingest.sent} lines stored{more}", highlight=False)
