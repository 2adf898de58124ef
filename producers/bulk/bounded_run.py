"""Runs any number of commands through the queue in bounded memory; yields their ends in order."""

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

DEFAULT_TIMEOUT = timedelta(minutes=10)
"""How long to wait for a command to be accepted, and for its outcome; a crashed worker's commands
run again long before."""
MIB = 1024 * 1024
"""Bytes of a mebibyte."""


@dataclass(frozen=True)
class Work(Generic[Item]):
    """A command to run, with what it was made of."""

    item: Item
    """What the command was made of, which is returned with its end."""
    command: Command
    """The command."""
    size: int
    """Memory that it takes, in bytes."""


@dataclass(frozen=True)
class Ended(Generic[Item]):
    """The end of a command."""

    item: Item
    """What the command was made of."""
    command: Command
    """The command, as accepted."""
    outcome: Outcome | None
    """Its outcome; None if it was refused or is still running."""
    error: SignalboxError | None
    """Why it did not succeed; None if it did."""


@dataclass(frozen=True)
class Pace:
    """How many commands are submitted together, and how many may be without an outcome at a time.

    The window should be large enough to keep workers busy and small enough for the memory.
    """

    batch: int = MAX_SUBMIT
    """Maximum number of commands submitted together."""
    batch_bytes: int = MIB
    """Size at which a batch is submitted, in bytes."""
    window: int = 3000
    """Maximum number of commands without an outcome."""
    window_bytes: int = 8 * MIB
    """Size of these commands at which none is added, in bytes."""


def run_all(
    client: Client,
    work: Iterable[Work[Item] | None],
    pace: Pace | None = None,
    timeout: timedelta = DEFAULT_TIMEOUT,
) -> Iterator[Ended[Item]]:
    """Submit the commands in batches, in the given order; yield an end for each, in that order.

    None in `work` marks a pause of the input: everything before it is then submitted and waited
    for. A command that was refused because too many are open is submitted again, before any later
    one. One without an outcome in time ends with OutcomePending. Raises StateUnavailable: at once
    if the ledger is unavailable at the start, else after `timeout`.
    """
    client.state.ping()
    stream = _Stream[Item](client, pace or Pace(), timeout)
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
    """Commands that wait to be submitted, and batches without outcomes."""

    client: Client
    pace: Pace
    timeout: timedelta
    waiting: list[Work[Item]] = field(default_factory=list)
    waiting_bytes: int = 0
    window: deque[tuple[list[Work[Item]], list[Submission]]] = field(default_factory=deque)
    commands: int = 0
    bytes: int = 0
    """Size of the commands in the window."""

    def add(self, part: Work[Item]) -> bool:
        """Add a command; return whether the waiting ones are a full batch now."""
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
        # An accepted command names staged content by itself, so the caller's payload is released.
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
        outcomes = self._reach(self.client.wait, submissions, self.timeout)
        for part, submission, outcome in zip(batch, submissions, outcomes, strict=True):
            error = _error_of(submission, outcome)
            yield Ended(part.item, part.command, outcome, error)

    def _ask(self, commands: Sequence[Command]) -> list[Submission]:
        submissions: list[Submission] = self._reach(self.client.submit_many, commands)
        deadline = time.monotonic() + self.timeout.total_seconds()
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
        return ask_again(self.timeout.total_seconds())


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
