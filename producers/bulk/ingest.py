"""Ingests lines of input: submits commands made of them, in bounded memory, and counts results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from signalbox.commands.error import InvalidCommand, OutcomePending, SignalboxError
from signalbox.commands.model import OP_ID_PATTERN, Command, new_op_id
from signalbox.producers.bulk.bounded_run import DEFAULT_TIMEOUT, Work, run_all
from signalbox.producers.client.client import Client

MAX_PREFIX = 100
"""Maximum length of an op_id prefix, in characters."""


@dataclass(frozen=True)
class Piece:
    """One command, and the input lines that it was made of."""

    command: Command
    """The command."""
    first: int
    """Number of the first line, from 1."""
    last: int
    """Number of the last line."""
    lines: int
    """Number of non-empty lines from `first` to `last`."""
    size: int
    """Bytes of these lines."""


@dataclass(frozen=True)
class Ended:
    """The end of a piece."""

    first: int
    """Number of the first line, from 1."""
    last: int
    """Number of the last line."""
    lines: int
    """Number of non-empty lines."""
    op_id: str
    """The command's op_id."""
    error: SignalboxError | None
    """Why it is not stored; None if it is."""


@dataclass(frozen=True)
class Naming:
    """How commands made of lines get their op_ids. Raises InvalidCommand.

    With a prefix the op_id is derived from the line number, so that ingesting the same input again
    has no second effect while outcomes are retained.
    """

    prefix: str | None = None
    """Beginning of the op_ids; None for random ones."""

    def __post_init__(self) -> None:
        prefix = self.prefix
        if prefix is not None and (
            len(prefix) > MAX_PREFIX or not re.fullmatch(OP_ID_PATTERN, prefix)
        ):
            raise InvalidCommand(
                "the prefix cannot begin an op_id",
                next_step=f"use at most {MAX_PREFIX} of A-Z a-z 0-9 . _ : -",
            )

    def op_id(self, first: int, last: int | None = None) -> str:
        """Return `<prefix>-<line>`, or `<prefix>-<first>-<last>` for a command of many lines."""
        if self.prefix is None:
            return new_op_id()
        return f"{self.prefix}-{first}" + (f"-{last}" if last is not None else "")


class Ingest:
    """Submits pieces, collects their ends, and counts lines."""

    def __init__(self, client: Client, timeout: timedelta = DEFAULT_TIMEOUT) -> None:
        self._client = client
        self._timeout = timeout
        self.sent = 0
        """Lines that were submitted, or may have been."""
        self.stored = 0
        """Lines that are stored."""
        self.failed = 0
        """Lines whose command failed."""

    @property
    def open(self) -> int:
        """Lines whose result is not known."""
        return self.sent - self.stored - self.failed

    def run(self, pieces: Iterable[Piece | None]) -> Iterator[Ended]:
        """Submit the pieces in batches, in the given order; yield an end for each, in that order.

        None among the pieces marks a pause of the input: everything before it is then submitted and
        waited for. Raises StateUnavailable, and OutcomePending if there is no outcome in time.
        """
        for end in run_all(self._client, self._work(pieces), timeout=self._timeout):
            piece, error = end.item, end.error
            if isinstance(error, OutcomePending):
                raise error
            if error is None:
                self.stored += piece.lines
            else:
                self.failed += piece.lines
            yield Ended(piece.first, piece.last, piece.lines, piece.command.op_id, error)

    def _work(self, pieces: Iterable[Piece | None]) -> Iterator[Work[Piece] | None]:
        for piece in pieces:
            if piece is None:
                yield None
                continue
            self.sent += piece.lines
            yield Work(piece, piece.command, piece.size)
