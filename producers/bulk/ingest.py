"""Many commands made of lines of input, through the queue in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from signalbox.commands.error import InvalidCommand, OutcomePending, SignalboxError
from signalbox.commands.model import OP_ID_PATTERN, Command, new_op_id
from signalbox.producers.bulk.bounded_run import PATIENCE, Work, run_all
from signalbox.producers.client.client import Client

MAX_PREFIX = 100


@dataclass(frozen=True)
class Piece:
    """One command, and the lines of the input it was made of."""

    command: Command
    first: int
    last: int
    lines: int
    """Lines with content from `first` to `last`."""
    size: int
    """Bytes of those lines."""


@dataclass(frozen=True)
class Ended:
    """What became of a piece; without an error it is stored."""

    first: int
    last: int
    lines: int
    op_id: str
    error: SignalboxError | None


@dataclass(frozen=True)
class Naming:
    """How commands made of lines are named.

    With a prefix the name follows from the line, so that the same input sent again, within the
    time that outcomes are kept, has no second effect. Raises InvalidCommand.
    """

    prefix: str | None = None

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
        """`<prefix>-<line>`, for a command of many lines `<prefix>-<first>-<last>`."""
        if self.prefix is None:
            return new_op_id()
        return f"{self.prefix}-{first}" + (f"-{last}" if last is not None else "")


class Ingest:
    """Sends pieces and collects what becomes of them; counts lines as it goes."""

    def __init__(self, client: Client, patience: timedelta = PATIENCE) -> None:
        self._client = client
        self._patience = patience
        self.sent = 0
        """Lines that were handed over, or may have been."""
        self.stored = 0
        self.failed = 0

    @property
    def open(self) -> int:
        """Lines of which it is not known what became."""
        return self.sent - self.stored - self.failed

    def run(self, pieces: Iterable[Piece | None]) -> Iterator[Ended]:
        """Submit in batches, in the order given; yields an end for each piece, in that order.

        None among the pieces says that the input pauses: what is there is then sent and waited
        for. Raises OutcomePending if one has no outcome in time, StateUnavailable.
        """
        for end in run_all(self._client, self._work(pieces), patience=self._patience):
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
