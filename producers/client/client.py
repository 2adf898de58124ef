"""The client: submits commands to the queue and waits for their outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self, overload

import redis
from celery import Celery

from signalbox.commands.fault import reach
from signalbox.commands.ledger.dead import DeadLetters, Replayed
from signalbox.commands.ledger.entry import Acceptance, Intent, Receipt, Ticket, Wake
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcel import ordinary
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.ledger.signing import Signer
from signalbox.commands.ledger.staged import Deployment
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.commands.ref import Ref
from signalbox.commands.result import R, Returns
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect_to, state_over
from signalbox.commands.wire import queue_of
from signalbox.producers.broker.publisher import Publisher, make_app
from signalbox.producers.broker.ring import RingMessages
from signalbox.producers.client.buffer import Buffer, BufferLimits
from signalbox.producers.client.claim_check import ClaimChecks
from signalbox.producers.client.content import ContentStager
from signalbox.producers.client.outcome_waiter import OutcomeWaiter
from signalbox.producers.client.shared_submit import SharedSubmit
from signalbox.producers.client.submission import DEFAULT_WAIT, MAX_SUBMIT, Submission, no_outcome
from signalbox.routing.registry.permit import Permits, is_reserved


@dataclass
class Batch:
    """Commands that are submitted together; `submissions` is filled at the end of the block."""

    commands: list[Command] = field(default_factory=list)
    """The commands added so far."""
    submissions: list[Submission] = field(default_factory=list)
    """The submissions, in the order of the commands."""

    def add(self, command: Command) -> None:
        """Append a command."""
        self.commands.append(command)


class Client:
    """Submits commands to the queue. Thread-safe; one per process is enough.

    A command for which `submit` returned is in the ledger: it takes effect exactly once, or becomes
    a dead letter. Methods raise StateUnavailable within five seconds if the state Redis is
    unavailable. The command was not accepted then; or it was, and submitting it again under its
    op_id has no second effect.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        app: Celery | None = None,
        state: State | redis.Redis | None = None,
    ) -> None:
        """Settings are read from the environment unless given.

        `app` and `state` replace the connections to broker and state Redis.
        """
        self.settings = settings or Settings()
        self.state = connect_to(self.settings) if state is None else state_over(state)
        self.ledger = Ledger(self.state, self.settings)
        app = app or make_app(self.settings)
        rings = RingMessages(app, self.settings)
        self._signer = Signer.of(self.settings)
        self._parcels = Parcels(
            self.state,
            self.settings,
            self.ledger,
            rings.message if rings.possible else None,
            self._signer,
        )
        self._publisher = Publisher(app)
        self.waiter = OutcomeWaiter(self.state, self.ledger)
        self.content = ContentStager(self.settings, Deployment(self.state))
        self._claim_checks = ClaimChecks(self.content.store, self.state)
        self._permits = Permits(self.state)
        self.dead = DeadLetters(self.state, self.settings)
        self._shared = SharedSubmit(self._submit, self._shard_of, MAX_SUBMIT)
        self._buffers: list[Buffer] = []

    def submit(self, command: Command) -> Submission:
        """Submit one command; those that other threads submit meanwhile share a round trip.

        Raises OpIdReused, RateLimited, ReservedStream and StateUnavailable.
        """
        if ordinary(command):
            submission = self._shared.submit(command)
        else:
            [submission] = self.submit_many([command])
        submission.raise_if_refused()
        return submission

    def submit_many(self, commands: Iterable[Command]) -> list[Submission]:
        """Submit commands, up to 500 in a round trip; a refused one does not stop the others.

        Commands on one key take effect in the given order. Raises StateUnavailable.
        """
        pending = list(commands)
        submissions: list[Submission] = []
        for start in range(0, len(pending), MAX_SUBMIT):
            submissions += self._submit(pending[start : start + MAX_SUBMIT])
        return submissions

    def submit_signed(self, commands: Sequence[tuple[Command, str]]) -> list[Submission]:
        """Submit commands whose authors have signed them, each with its JWS; one round trip.

        They are recorded as they were signed, and this client's key has no part in it; a worker
        verifies them. Raises StateUnavailable.
        """
        reserved = [command for command, _ in commands if is_reserved(command)]
        lacking = self._permits.lacking(reserved)
        shards, channel = self.settings.tenant_shards, self.waiter.channel
        refused = [command for command in reserved if command.ref in lacking]
        intents = [
            Intent(command, queue_of(command, shards), channel, proof=token)
            for command, token in commands
            if command not in refused
        ]
        receipts = iter(self.ledger.submit(intents, foreign=True) if intents else ())
        submissions = [
            Submission(
                command,
                Receipt(command.ref, Acceptance.RESERVED, 0)
                if command in refused
                else next(receipts),
            )
            for command, _ in commands
        ]
        new = {s.receipt.ref for s in submissions if s.receipt.acceptance is Acceptance.NEW}
        wakes = [
            Wake(Ticket(intent.command.ref, intent.command.op), intent.queue)
            for intent in intents
            if intent.command.ref in new
        ]
        self._publisher.publish_or_leave(wakes)
        return submissions

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Collect commands, and submit them together when the block ends without an exception."""
        batch = Batch()
        yield batch
        batch.submissions = self.submit_many(batch.commands)

    def buffer(self, limits: BufferLimits | None = None) -> Buffer:
        """Make a buffer that submits commands in the background; its `close` flushes it."""
        self._buffers = [buffer for buffer in self._buffers if not buffer.closed]
        buffer = Buffer(
            self,
            limits or BufferLimits(),
            inline_limit=self.settings.inline_limit_bytes,
            in_flight=self.waiter.watch.__len__,
        )
        self._buffers.append(buffer)
        return buffer

    def wait(
        self, submissions: Sequence[Submission], timeout: timedelta = DEFAULT_WAIT
    ) -> list[Outcome | None]:
        """Return the outcomes, in order; None for commands that are still open after `timeout`."""
        known = {s.receipt.ref: s.receipt.outcome for s in submissions if s.receipt.outcome}
        asked = [s.receipt.ref for s in submissions if s.accepted and s.receipt.ref not in known]
        found = {**known, **(self.waiter.wait(asked, timeout) if asked else {})}
        return [found.get(s.receipt.ref) if s.accepted else None for s in submissions]

    @overload
    def run(self, command: Returns[R], timeout: timedelta = DEFAULT_WAIT) -> R: ...
    @overload
    def run(self, command: Command, timeout: timedelta = DEFAULT_WAIT) -> Any: ...
    def run(self, command: Any, timeout: timedelta = DEFAULT_WAIT) -> Any:
        """Submit, wait, and return the result in the type that the command names.

        Raises the command's own error, such as NotFound; the errors of `submit`; and OutcomePending
        if it is still running.
        """
        outcome, kind = self.run_outcome(command, timeout), command.result_type
        return outcome.result_as(kind) if kind else outcome.unwrap()

    def run_outcome(self, command: Command, timeout: timedelta = DEFAULT_WAIT) -> Outcome:
        """Submit and wait for the outcome, which may be an error.

        Raises the errors of `submit`, and OutcomePending if it is still running.
        """
        return self.outcome(self.submit(command), timeout)

    def outcome(self, submission: Submission, timeout: timedelta = DEFAULT_WAIT) -> Outcome:
        """Wait for the outcome of one command. Raises OutcomePending if it is still running."""
        command = submission.command
        [outcome] = self.wait([submission], timeout)
        if outcome is None:
            [record] = self.ledger.records([command.ref])
            raise no_outcome(command.ref, command.op, timeout, record)
        return outcome

    def replay(self, refs: Sequence[Ref]) -> Replayed:
        """Run dead letters again, signed with this client's key; see `DeadLetters.replay`."""
        replayed = self.dead.replay(refs, self._signer)
        self._publisher.publish_or_leave(replayed.wakes)
        return replayed

    def close(self) -> None:
        """Flush the buffers and disconnect. Raises the first error of a buffer."""
        with ExitStack() as last_first:
            last_first.callback(self.state.close)
            last_first.callback(self.waiter.close)
            for buffer in self._buffers:
                last_first.callback(buffer.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shard_of(self, command: Command) -> str:
        return self.ledger.shards.shard(command.tenant_id, command.env)

    def _submit(self, commands: Sequence[Command]) -> list[Submission]:
        kept = [command for command in commands if is_reserved(command)]
        lacking = self._permits.lacking(kept)
        if not lacking:
            return self._accept(commands)
        refused = [is_reserved(command) and command.ref in lacking for command in commands]
        accepted = iter(
            self._accept([c for c, no in zip(commands, refused, strict=True) if not no])
        )
        return [
            Submission(command, Receipt(command.ref, Acceptance.RESERVED, 0))
            if no
            else next(accepted)
            for command, no in zip(commands, refused, strict=True)
        ]

    def _accept(self, commands: Sequence[Command]) -> list[Submission]:
        if not commands:
            return []
        shards, channel = self.settings.tenant_shards, self.waiter.channel
        own = self._claim_checks.take(commands)
        intents = [Intent(command, queue_of(command, shards), channel) for command in own]
        try:
            accepted = self._parcels.accept(intents)
        except BaseException:
            self._claim_checks.unsure(commands, own)
            raise
        reach("submit.after")
        self._publisher.publish_or_leave(accepted.wakes)
        settled = self._claim_checks.settle(commands, own, accepted.receipts)
        return [Submission(c, r) for c, r in zip(settled, accepted.receipts, strict=True)]
