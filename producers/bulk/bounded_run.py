"""Many commands through the queue in bounded memory, and what became of each, in their order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Generic, TypeVar

from tenacity import Retrying

from signalbox.commands.error import OutcomePending, RemoteError, SignalboxError
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.producers.client.client import Client
from signalbox.producers.client.flush_queue import AGAIN_SECONDS
from signalbox.producers.client.submission import MAX_SUBMIT, Submission, ask_again

Item = TypeVar("Item")

PATIENCE = timedelta(minutes=10)
"""For what is handed over, and for the outcomes of the oldest; a crashed worker's are back long
before."""
MIB = 1024 * 1024


@dataclass(frozen=True)
class Work(Generic[Item]):
    """A command, what it was made of, and its bytes in memory."""

    item: Item
    command: Command
    size: int


@dataclass(frozen=True)
class Ended(Generic[Item]):
    """What became of a command: an outcome that is done, or an error."""

    item: Item
    command: Command
    outcome: Outcome | None
    error: SignalboxError | None


@dataclass(frozen=True)
class Pace:
    """How much is handed over together, and how much has no outcome at a time: enough to keep
    workers busy, few enough to bound memory."""

    batch: int = MAX_SUBMIT
    batch_bytes: int = MIB
    window: int = 3000
    window_bytes: int = 8 * MIB


def run_all(
    client: Client,
    work: Iterable[Work[Item] | None],
    pace: Pace | None = None,
    patience: timedelta = PATIENCE,
) -> Iterator[Ended[Item]]:
    """Submit in batches, in the order given; yields an end for each, in that order.

    None in the work says that it pauses: what is there is then submitted and waited for. What
    finds too many open is submitted again, before anything behind it; one without an outcome in
    time ends in OutcomePending. Raises StateUnavailable: at once if the ledger is away when it
    begins, after `patience` later.
    """
    client.state.ping()
    stream = _Stream[Item](client, pace or Pace(), patience)
    for part in work:
        if part is None or stream.add(part):
            stream.submit()
            while stream.window and (part is None or stream.is_full):
                yield from stream.oldest()
    stream.submit()
    while stream.window:
        yield from stream.oldest()


@dataclass
class _Stream(Generic[Item]):
    """What waits to be submitted, and the batches without an outcome."""

    client: Client
    pace: Pace
    patience: timedelta
    waiting: list[Work[Item]] = field(default_factory=list)
    waiting_bytes: int = 0
    window: deque[tuple[list[Work[Item]], list[Submission]]] = field(default_factory=deque)
    commands: int = 0
    bytes: int = 0
    """In the window."""

    def add(self, part: Work[Item]) -> bool:
        """Whether what waits is a batch now."""
        self.waiting.append(part)
        self.waiting_bytes += part.size
        return len(self.waiting) >= self.pace.batch or self.waiting_bytes >= self.pace.batch_bytes

    @property
    def is_full(self) -> bool:
        return self.commands >= self.pace.window or self.bytes >= self.pace.window_bytes

    def submit(self) -> None:
        batch, self.waiting, self.waiting_bytes = self.waiting, [], 0
        if not batch:
            return
        submissions = self._ask([part.command for part in batch])
        # An accepted command no longer holds what the caller staged, as its own may.
        batch = [
            part if each.command is part.command else replace(part, command=each.command)
            for part, each in zip(batch, submissions, strict=True)
        ]
        self.window.append((batch, submissions))
        self.commands += len(batch)
        self.bytes += sum(part.size for part in batch)

    def oldest(self) -> Iterator[Ended[Item]]:
        batch, submissions = self.window.popleft()
        self.commands -= len(batch)
        self.bytes -= sum(part.size for part in batch)
        outcomes = self._reach(self.client.wait, submissions, self.patience)
        for part, submission, outcome in zip(batch, submissions, outcomes, strict=True):
            error = _error_of(submission, outcome)
            yield Ended(part.item, part.command, outcome, error)

    def _ask(self, commands: Sequence[Command]) -> list[Submission]:
        submissions: list[Submission] = self._reach(self.client.submit_many, commands)
        deadline = time.monotonic() + self.patience.total_seconds()
        while time.monotonic() < deadline:
            full = [number for number, each in enumerate(submissions) if each.full]
            if not full:
                break
            time.sleep(AGAIN_SECONDS)
            again = self._reach(self.client.submit_many, [commands[number] for number in full])
            for number, submission in zip(full, again, strict=True):
                submissions[number] = submission
        return submissions

    @property
    def _reach(self) -> Retrying:
        return ask_again(self.patience.total_seconds())


def _error_of(submission: Submission, outcome: Outcome | None) -> SignalboxError | None:
    try:
        submission.raise_if_refused()
    except SignalboxError as refusal:
        return refusal
    if outcome is None:
        return _no_outcome(submission.command)
    return RemoteError(outcome.error) if outcome.error is not None else None


def _no_outcome(command: Command) -> OutcomePending:
    return OutcomePending(
        f"no outcome yet of {command.op} {command.subject}",
        kind=command.kind,
        tenant_id=command.tenant_id,
        env=command.env,
        next_step=f"it goes on; see: signalbox outcome {command.op_id} -t {command.tenant_id} "
        f"-e {command.env}; is a worker running? see: signalbox status",
    )
