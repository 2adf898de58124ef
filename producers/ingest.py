"""Many commands made of lines of input, through the queue in bounded memory."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from commands.error import InvalidCommand, OutcomePending, RemoteError, SignalboxError
from commands.model import OP_ID_PATTERN, Command, new_op_id
from commands.outcome import Outcome
from producers.client import Client
from producers.submission import SUBMIT_MOST, Submission

BATCH_BYTES = 1024 * 1024
WINDOW_COMMANDS = 3000
"""Commands without an outcome at once: enough to keep workers busy, few enough to bound memory."""
WINDOW_BYTES = 8 * 1024 * 1024
"""Of the lines that those commands were made of."""
PATIENCE = timedelta(minutes=10)
"""For the outcomes of the oldest batch; a crashed worker's are back long before."""
FULL_SECONDS = 0.5
"""Until it is asked again whether the tenant may have more commands open."""
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
        self._waiting: list[Piece] = []
        self._waiting_bytes = 0
        self._window: deque[list[tuple[Piece, Submission]]] = deque()
        self._window_commands = 0
        self._window_bytes = 0
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
        for. Raises OutcomePending if the oldest batch has no outcome in time, StateUnavailable.
        """
        for piece in pieces:
            if piece is not None:
                self._waiting.append(piece)
                self._waiting_bytes += piece.size
                if len(self._waiting) < SUBMIT_MOST and self._waiting_bytes < BATCH_BYTES:
                    continue
            self._flush()
            while self._window and (piece is None or self._is_full()):
                yield from self._collect()
        self._flush()
        while self._window:
            yield from self._collect()

    def _is_full(self) -> bool:
        return self._window_commands >= WINDOW_COMMANDS or self._window_bytes >= WINDOW_BYTES

    def _flush(self) -> None:
        if not self._waiting:
            return
        pieces, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self.sent += sum(piece.lines for piece in pieces)
        submissions = self._submit([piece.command for piece in pieces])
        self._window.append(list(zip(pieces, submissions, strict=True)))
        self._window_commands += len(pieces)
        self._window_bytes += _size(pieces)

    def _submit(self, commands: Sequence[Command]) -> list[Submission]:
        """Hand over all. Those that found too many open come again, before anything behind them."""
        submissions = self._client.submit_many(commands)
        deadline = time.monotonic() + self._patience.total_seconds()
        while time.monotonic() < deadline:
            full = [n for n, s in enumerate(submissions) if s.full]
            if not full:
                break
            time.sleep(FULL_SECONDS)
            again = self._client.submit_many([commands[n] for n in full])
            for n, submission in zip(full, again, strict=True):
                submissions[n] = submission
        return submissions

    def _collect(self) -> Iterator[Ended]:
        batch = self._window.popleft()
        self._window_commands -= len(batch)
        self._window_bytes -= _size(piece for piece, _ in batch)
        outcomes = self._client.wait([submission for _, submission in batch], self._patience)
        pending: SignalboxError | None = None
        for (piece, submission), outcome in zip(batch, outcomes, strict=True):
            error = _error_of(piece, submission, outcome)
            if isinstance(error, OutcomePending):
                pending = pending or error
                continue
            if error is None:
                self.stored += piece.lines
            else:
                self.failed += piece.lines
            op_id = piece.command.op_id
            yield Ended(piece.first, piece.last, piece.lines, op_id, error)
        if pending is not None:
            raise pending


def _size(pieces: Iterable[Piece]) -> int:
    return sum(piece.size for piece in pieces)


def _error_of(
    piece: Piece, submission: Submission, outcome: Outcome | None
) -> SignalboxError | None:
    try:
        submission.raise_if_refused()
    except SignalboxError as error:
        return error
    if outcome is None:
        return OutcomePending(
            f"no outcome yet of line {piece.first}",
            next_step=f"it goes on; see: signalbox outcome {piece.command.op_id}; "
            "is a worker running? see: signalbox status",
        )
    return RemoteError(outcome.error) if outcome.error is not None else None
