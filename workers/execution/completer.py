"""The completer: records outcomes, retries and dead letters of commands, in one round trip."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter

from signalbox.commands.error import (
    ControlRefused,
    OpIdReused,
    ProofError,
    RateLimited,
    SignalboxError,
)
from signalbox.commands.ledger.entry import Action, Burial, Claims, Finish, Finished, Unrunnable
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.ledger.proven import Signed, digest_of
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.payload import PayloadStore, StagedPayload
from signalbox.commands.ref import Ref, split_ref
from signalbox.commands.settings import Settings
from signalbox.commands.wire import Fault
from signalbox.workers.celery.task_events import TaskEvents
from signalbox.workers.execution.command_log import log_faults, log_finishes
from signalbox.workers.execution.outcome_builder import outcome_of
from signalbox.workers.execution.pipeline_types import Ended
from signalbox.workers.execution.usage_record import sickness_of, usage_of

MAX_DOCUMENT = 128 * 1024
"""Maximum number of characters kept of an invalid command, which may be as large as a message."""
LONGEST_RETRY = timedelta(minutes=5)
"""Maximum delay before a retry."""
LONGEST_LINE = timedelta(days=1)
"""Due time of a command that waits for its tenant's rate.

The pacer wakes such commands; the due time is a safeguard only, since looking at each of them
regularly would be work that grows with the backlog.
"""


@dataclass(frozen=True)
class Completer:
    """Records ends in the ledger, logs them, and removes staged content that is done with."""

    ledger: Ledger
    """Where ends of records are written."""
    parcels: Parcels
    """Where ends of commands in parcels are written."""
    settings: Settings
    """The worker's settings."""
    payloads: PayloadStore
    """Where staged content is removed."""
    worker: str
    """Name of the worker, recorded with every outcome."""
    task_events: TaskEvents | None = None
    """Where ends are reported for Flower; None if they are not."""

    def finish(
        self, token: str, claims: Claims, ended: Sequence[Ended], *, crowded: bool = False
    ) -> tuple[Finished, dict[str, int]]:
        """Record the ends.

        Return the messages to publish now, and the number of commands by how they ended. `crowded`
        says that other tenants were active lately, which makes the tenant's window smaller. Raises
        StateUnavailable.
        """
        ends = [(item.claimed.seq, self._of_ended(item)) for item in ended]
        ends += [(item.seq, self._of_unrunnable(item)) for item in claims.unrunnable]
        # In accepted order: see Parts.
        finishes = [finish for _, finish in sorted(ends, key=itemgetter(0))]
        self.bury([_conflict(command) for command in claims.conflicts])
        if not finishes and not claims.parcels:
            return Finished([], []), {}
        if claims.parcels:
            finished = self.parcels.end(token, claims.parcels, finishes, crowded=crowded)
        else:
            finished = self.ledger.finish(token, finishes, crowded=crowded)
        refused = set(finished.refused)
        counts = Counter[str]()
        for finish in finishes:
            lost = finish.ref in refused
            counts["refused" if lost else finish.action.value] += 1
        log_finishes(finishes, refused)
        if self.task_events is not None:
            self.task_events.tell(finishes, refused, ended)
        for item in ended:
            # A dead letter keeps its payload, and so does a command whose lease another worker
            # holds.
            if item.result is not None and not (refused and item.claimed.command.ref in refused):
                self._tidy(item)
        return finished, dict(counts)

    def bury(self, faults: Sequence[Fault]) -> None:
        """Store invalid commands as dead letters, each with its error.

        One whose ref is taken, by a command or by another dead letter, gets a ref of its own, so
        that neither hides the other.
        """
        if not faults:
            return
        kept = self.ledger.bury([self._letter(fault, fault.ref) for fault in faults])
        others = [fault for fault, done in zip(faults, kept, strict=True) if not done]
        if others:
            self.ledger.bury([self._letter(fault, _other_name(fault)) for fault in others])
        log_faults(faults)
        if self.task_events is not None:
            self.task_events.tell_faults(faults)

    def _letter(self, fault: Fault, ref: Ref) -> Burial:
        tenant_id, env, op_id = split_ref(ref)
        outcome = Outcome(
            op_id=op_id,
            op=fault.op,
            tenant_id=tenant_id,
            env=env,
            status=Status.FAILED,
            error=fault.error.detail(),
            seq=0,
            attempt=0,
            worker=self.worker,
            claimed_at=datetime.now(UTC),
            duration_ms=0.0,
        )
        return Burial(ref, fault.op, _cut(json.dumps(fault.document)), outcome)

    def _of_ended(self, item: Ended) -> Finish:
        command, token = item.claimed.command, item.claimed.token
        if not item.attempted:
            return Finish(command.ref, token, Action.RELEASE)
        error, attempt = item.error, item.claimed.counted
        if isinstance(error, RateLimited):
            outcome, delay = outcome_of(item, self.worker), _time_left(command)
            return Finish(command.ref, token, Action.PACE, outcome, delay)
        if error is not None and error.waits:
            wait = timedelta(seconds=error.retry_after or 1 + random.random())
            delay = min(wait, LONGEST_RETRY)
            action = Action.PARK if item.tried else Action.RELEASE
            return Finish(
                command.ref, token, action, outcome_of(item, self.worker), delay, sickness_of(item)
            )
        if error is not None and error.temporary and attempt < self.settings.max_attempts:
            outcome, delay = outcome_of(item, self.worker), self._delay(attempt)
            return Finish(command.ref, token, Action.RETRY, outcome, delay, sickness_of(item))
        if isinstance(error, ProofError) and not item.tried:
            message, outcome = _message(item.claimed.signed), outcome_of(item, self.worker)
            return Finish(command.ref, token, Action.REFUSE, outcome, message=message)
        # A command refused for lack of a permit becomes a dead letter even if it only reads.
        dead = error is not None and (
            command.writes or isinstance(error, ControlRefused | ProofError)
        )
        action = Action.DEAD if dead else Action.DONE
        return Finish(
            command.ref, token, action, outcome_of(item, self.worker), usage=usage_of(item)
        )

    def _of_unrunnable(self, item: Unrunnable) -> Finish:
        tenant_id, env, op_id = split_ref(item.ref)
        error: SignalboxError = item.error.at(
            kind=item.op.partition(".")[0], tenant_id=tenant_id, env=env
        )
        outcome = Outcome(
            op_id=op_id,
            op=item.op,
            tenant_id=tenant_id,
            env=env,
            status=Status.FAILED,
            error=error.detail(),
            seq=item.seq,
            attempt=item.attempt,
            worker=self.worker,
            claimed_at=item.claimed_at,
            duration_ms=0.0,
        )
        if error.waits:
            delay = timedelta(seconds=1 + random.random())
            return Finish(item.ref, item.token, Action.RELEASE, outcome, delay)
        if isinstance(error, ProofError):
            message = _message(item.signed)
            return Finish(item.ref, item.token, Action.REFUSE, outcome, message=message)
        return Finish(item.ref, item.token, Action.DEAD, outcome)

    def _delay(self, attempt: int) -> timedelta:
        """Exponential backoff with full jitter.

        M. Brooker, "Exponential Backoff and Jitter", 2015.
        """
        cap: timedelta = min(self.settings.retry_delay * 2 ** (attempt - 1), LONGEST_RETRY)
        return cap * random.random()

    def _tidy(self, item: Ended) -> None:
        command = item.claimed.command
        if isinstance(command, PutObject) and isinstance(command.payload, StagedPayload):
            self.payloads.remove(command.payload)


def _message(signed: Signed | None) -> str:
    """Return the digest of the message in which a record came; '' if it did not come signed."""
    # What our client signs has its path behind the token.
    whole = signed is not None and " " not in signed.proof
    return digest_of(signed.proof) if signed is not None and whole else ""


def _time_left(command: Command) -> timedelta:
    """Return the time until the command's deadline, at which it has to end."""
    if command.deadline is None:
        return LONGEST_LINE
    return min(LONGEST_LINE, max(timedelta(0), command.deadline - datetime.now(UTC)))


def _other_name(fault: Fault) -> str:
    """Return a ref made from the document, so that a redelivered message is stored once."""
    document = json.dumps(fault.document).encode()
    return f"{fault.ref}.{hashlib.sha256(document).hexdigest()[:8]}"


def _cut(document: str) -> str:
    if len(document) <= MAX_DOCUMENT:
        return document
    digest = hashlib.sha256(document.encode()).hexdigest()
    return json.dumps({"cut": document[: MAX_DOCUMENT // 2], "sha256": digest})


def _conflict(command: Command) -> Fault:
    """Return a fault for a command whose op_id is taken; its ref is the same each time."""
    error = OpIdReused(
        f"op_id {command.op_id} was accepted before with another content",
        kind=command.kind,
        tenant_id=command.tenant_id,
        env=command.env,
        next_step="use a new op_id for a new command; the first one stands",
    )
    ref = f"{command.ref}.{command.fingerprint()[:8]}"
    return Fault(ref, command.op, command.model_dump(mode="json"), error)
