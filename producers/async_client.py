"""What an asyncio service uses: the words of `Client`, for tasks instead of threads."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

from commands.error import SignalboxError
from commands.ledger.entry import Record
from commands.model import Command
from commands.outcome import Outcome
from commands.payload import InlinePayload, StagedPayload
from commands.settings import Settings
from producers.buffer import BufferLimits
from producers.client import DEFAULT_WAIT, Client
from producers.submission import Submission


@dataclass(frozen=True)
class Ran:
    """What became of one of many: an outcome, or the error for which there is none."""

    command: Command
    submission: Submission | None
    """None if the ledger did not answer."""
    outcome: Outcome | None
    error: SignalboxError | None
    """What `run` would have raised: a refusal, StateUnavailable, OutcomePending."""


class AsyncClient:
    """Submits commands through a buffer, and waits for outcomes without a thread for each.

    One a process is enough, for tasks of any event loop. A command that `submit` returned for is
    in the ledger: it takes effect exactly once, or ends as a dead letter. A task that is cancelled
    takes nothing back: what it handed over goes on. Commands on one key take effect in the order
    of the calls. Not usable in a forked process: make one there.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        limits: BufferLimits | None = None,
        client: Client | None = None,
    ) -> None:
        """`limits` say how long a command lingers for others, and how much is held. A `client`
        that is given is the one underneath, and its owner's to close."""

    async def submit(self, command: Command) -> Submission:
        """Wait until the ledger holds the command. Raises OpIdReused, RateLimited, ReservedStream,
        StateUnavailable (after the limits' patience), DeliveryError (closed)."""
        raise NotImplementedError

    async def submit_many(self, commands: Iterable[Command]) -> list[Submission]:
        """Hand over commands in this order; a refused one does not stop others, but raises at
        `raise_if_refused()`. Raises StateUnavailable if the ledger took none of the rest."""
        raise NotImplementedError

    async def run(self, command: Command, timeout: timedelta = DEFAULT_WAIT) -> Outcome:
        """Submit and wait. Raises as `submit` does; OutcomePending, and the command goes on."""
        raise NotImplementedError

    async def run_many(
        self, commands: Iterable[Command], timeout: timedelta = DEFAULT_WAIT
    ) -> list[Ran]:
        """Submit all in this order and wait; what became of each, in order. Raises nothing for a
        single command."""
        raise NotImplementedError

    async def outcome(self, submission: Submission, timeout: timedelta = DEFAULT_WAIT) -> Outcome:
        """Wait for the outcome of one. Raises OutcomePending; the command goes on then."""
        raise NotImplementedError

    async def wait(
        self, submissions: Sequence[Submission], timeout: timedelta = DEFAULT_WAIT
    ) -> list[Outcome | None]:
        """Their outcomes, in order; None for what is still open when the time is over."""
        raise NotImplementedError

    async def record(self, ref: str) -> Record | None:
        """What the ledger knows of a command (`tenant/env/op_id`), whoever submitted it."""
        raise NotImplementedError

    async def payload(
        self,
        chunks: AsyncIterable[bytes],
        *,
        size: int | None = None,
        sha256: str | None = None,
    ) -> InlinePayload | StagedPayload:
        """The content of a PutObject, from a body as it arrives, in bounded memory.

        What is over the inline limit is staged below `SIGNALBOX_PAYLOAD_DIR`. Raises
        ContentMismatch if it has not the `size` (bytes) or digest (64 hexadecimal digits) that
        were declared, TooLarge without a payload directory, and whatever the iterator raises:
        nothing of it is left then, and no op_id was taken.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Hand over what is held, end the threads and disconnect. Again is harmless.

        Raises the first error that kept a command from being accepted, unless it was told before.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await self.close()
