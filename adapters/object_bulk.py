"""Bulk puts and deletes of objects in one transaction, for transactional drivers.

Contents are written first; then one transaction looks and decides; then unused contents are
removed. Every write is fenced by `seq`, not only a takeover.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import NamedTuple, TypeVar

from signalbox.adapters.batch import earliest, open_calls
from signalbox.adapters.failure import Reporter
from signalbox.adapters.object_attributes import attributes, info_of
from signalbox.adapters.object_condition import demand
from signalbox.adapters.object_driver import Draft
from signalbox.adapters.object_range import span
from signalbox.adapters.object_stream import ObjectStream
from signalbox.adapters.object_transaction import (
    Gone,
    ObjectSession,
    ObjectStaging,
    ObjectTrace,
    Staged,
    TransactionalObjectDriver,
)
from signalbox.adapters.port import Call
from signalbox.commands.error import NotFound, SignalboxError
from signalbox.commands.object_store import (
    Condition,
    DeleteObject,
    GetObject,
    HeadObject,
    ObjectInfo,
    PutObject,
)
from signalbox.commands.payload import StagedPayload

Answer = TypeVar("Answer")


class Stored(NamedTuple):
    """The result of a put: what it stored, or would have stored."""

    etag: str
    """ETag of the object."""
    sha256: str
    """Digest of the content, 64 hexadecimal digits."""
    superseded: bool = False
    """True if a newer command's effect was kept instead."""


class _Put(NamedTuple):
    """A put whose content is staged."""

    number: int
    command: PutObject
    call: Call
    staged: Staged
    own: Stored


class ObjectBulk:
    """The bulk operations of one store."""

    def __init__(self, driver: TransactionalObjectDriver, reporter: Reporter) -> None:
        self._driver = driver
        self._reporter = reporter

    def put(self, items: Sequence[tuple[PutObject, Call]]) -> list[Stored | SignalboxError]:
        """Store all objects in one transaction, in this order; return the result or error of each.

        An error of one item, or in writing its content, is its own; after a temporary one, no other
        item of its key is attempted. A failed sync or commit is the error of all items up to then,
        and none of them is stored.
        """
        ended: dict[int, Stored | SignalboxError] = {}
        staging = self._driver.staging()
        puts: list[_Put] = []
        seen: dict[str, SignalboxError | None] = {}
        for number, (command, call) in enumerate(items):
            first = command.key not in seen
            error = seen.setdefault(command.key, None)
            if error is None:
                try:
                    put = self._stage(staging, number, command, call, first=first)
                    if isinstance(put, _Put):
                        puts.append(put)
                    else:
                        ended[number] = put
                    continue
                except SignalboxError as refused:
                    error = refused
                except self._reporter.service.failures as failure:
                    error = self._reporter.translated(failure)
            ended[number] = self._reporter.located(error)
            if error.temporary:
                seen[command.key] = error
        staged = [put.staged for put in puts]
        try:
            with self._reporter.errors():
                staging.settle(staged)
        except SignalboxError as error:
            staging.discard(staged)
            ended |= dict.fromkeys((put.number for put in puts), error)
        else:
            answers = self._decide(
                [(put.command.key, put.call) for put in puts],
                lambda decisions, n: decisions.put(puts[n]),
                staging,
                staged,
            )
            ended |= zip((put.number for put in puts), answers, strict=True)
        return [ended[number] for number in range(len(items))]

    def delete(self, items: Sequence[tuple[DeleteObject, Call]]) -> list[bool | SignalboxError]:
        """Delete all objects in one transaction, in this order.

        Returns for each whether it was superseded, or its error; after a temporary one, no other
        item of its key is attempted.
        """
        return self._decide(
            [(command.key, call) for command, call in items],
            lambda decisions, n: decisions.delete(*items[n]),
            self._driver.staging(),
            (),
        )

    def head(self, commands: Sequence[HeadObject]) -> list[ObjectInfo | SignalboxError]:
        """Return an answer for each command."""
        if not commands:
            return []
        names = [self._driver.name(command.key) for command in commands]
        try:
            with self._reporter.errors():
                found = self._driver.look_many(names)
        except SignalboxError as error:
            return [error] * len(commands)
        answers: list[ObjectInfo | SignalboxError] = []
        for name, command in zip(names, commands, strict=True):
            try:
                if (there := found.get(name)) is None:
                    raise NotFound("there is no such object", next_step="check the key")
                answers.append(info_of(there, command.key))
            except SignalboxError as error:
                answers.append(self._reporter.located(error))
        return answers

    def get(self, commands: Sequence[GetObject]) -> list[ObjectStream | SignalboxError | None]:
        """Return an answer for each command by one look; None where the content must be opened."""
        if not commands:
            return []
        names = [self._driver.name(command.key) for command in commands]
        try:
            with self._reporter.errors():
                found = self._driver.contents(names)
        except SignalboxError as error:
            return [error] * len(commands)
        answers: list[ObjectStream | SignalboxError | None] = []
        for name, command in zip(names, commands, strict=True):
            try:
                if (whole := found.get(name)) is None:
                    raise NotFound("there is no such object", next_step="check the key")
                there, content = whole
                if content is None:
                    answers.append(None)
                    continue
                first, size = span(command.first, command.last, there.size)
                body = BytesIO(content[first : first + size])
                answers.append(ObjectStream(info_of(there, command.key), first, size, body))
            except SignalboxError as error:
                answers.append(self._reporter.located(error))
        return answers

    def _stage(
        self,
        staging: ObjectStaging,
        number: int,
        command: PutObject,
        call: Call,
        *,
        first: bool,
    ) -> _Put | Stored:
        """Return the put with its content staged, or its result if it has one already.

        `first` says that it is the first of its key.
        """
        payload = command.payload
        sha256 = payload.sha256
        # It changes with each write, also of equal content; and a superseded command can tell the
        # one that it would have had.
        own = Stored(f"{call.seq:016x}{sha256[:16]}", sha256)
        if call.takeover and isinstance(payload, StagedPayload):
            try:
                # The payload may be gone if the put has had its effect.
                trace = self._driver.traces([command.key]).get(command.key)
                if done := settled(command.condition, trace, own, call):
                    return done
            except SignalboxError:
                if first:
                    raise
                # An earlier item of the bulk may fulfil its condition.
        draft = Draft(
            payload, call.payloads, command.content_type, command.metadata, attributes(call, sha256)
        )
        return _Put(number, command, call, staging.stage(command.key, draft, own.etag), own)

    def _decide(
        self,
        items: Sequence[tuple[str, Call]],
        decide: Callable[[_Decisions, int], Answer],
        staging: ObjectStaging,
        staged: Sequence[Staged],
    ) -> list[Answer | SignalboxError]:
        """Run the transaction. Staged contents that it did not use are removed afterwards."""
        if not items:
            return []
        answers: list[Answer | SignalboxError] = []
        stopped: dict[str, SignalboxError] = {}
        written = False
        lease = earliest(open_calls([call for _, call in items]))
        try:
            with self._reporter.errors(), self._driver.session(lease) as session:
                decisions = _Decisions(session, {key for key, _ in items})
                for number, (key, _) in enumerate(items):
                    if stopped and key in stopped:
                        answers.append(stopped[key])
                        continue
                    try:
                        answers.append(decide(decisions, number))
                    except SignalboxError as error:
                        answers.append(self._reporter.located(error))
                        if error.temporary:
                            stopped[key] = error
                session.write(decisions.after)
                written = True
        except SignalboxError as error:
            # If the commit failed it may still have taken effect, so no content is removed.
            if not written:
                staging.discard(staged)
            # An item may have been refused because of another's effect, which does not count now.
            return [error] * len(items)
        if staged:
            named = {id(left) for left in decisions.after.values()}
            staging.discard([each for each in staged if id(each) not in named])
        return answers


class _Decisions:
    """The writes of one transaction, each based on the ones before it."""

    def __init__(self, session: ObjectSession, keys: set[str]) -> None:
        self._before = session.look(keys)
        self.after: dict[str, Staged | Gone] = {}

    def put(self, put: _Put) -> Stored:
        """Decide a put. Raises the errors of its condition."""
        key, call = put.command.key, put.call
        trace = self._trace(key)
        ended = settled(put.command.condition, trace, put.own, call)
        if ended is not None:
            return ended
        # Checked under the writers' lock: a worker that takes the command over comes either before
        # this, and the lease is lost, or after the commit.
        call.remaining()
        size = put.command.payload.size
        if trace is not None and trace.etag is not None:
            call.grew(0, size - trace.size)
        else:
            call.grew(1, size)
        self.after[key] = put.staged
        return put.own

    def delete(self, command: DeleteObject, call: Call) -> bool:
        """Decide a delete; return whether it was superseded.

        Raises PreconditionFailed (`if_match`). Even if there is no object, a tombstone keeps out
        older writes.
        """
        trace = self._trace(command.key)
        there = trace if trace is not None and trace.etag is not None else None
        own = trace is not None and _is_of(trace, call)
        overtaken = trace is not None and trace.seq > call.seq
        # A takeover that finds nothing may have left a tombstone that was removed since.
        if not (own or (call.takeover and (overtaken or trace is None))):
            demand(Condition(if_match=command.if_match), there.etag if there else None)
        if overtaken:
            return not own
        call.remaining()
        if there is not None:
            call.grew(-1, -there.size)
        self.after[command.key] = Gone(call.mark, call.seq)
        return False

    def _trace(self, key: str) -> ObjectTrace | None:
        """Return what the last write on the key left. Raises IntegrityMismatch."""
        left = self.after.get(key) if self.after else None
        if left is None:
            return self._before.get(key)
        return left if isinstance(left, Gone) else left.trace


def settled(
    condition: Condition, trace: ObjectTrace | None, own: Stored, call: Call
) -> Stored | None:
    """Return the result of a put that has nothing to write, because it is done or superseded.

    Else None. Raises the errors of its condition. A superseded takeover may have fulfilled its
    condition in its first attempt, which cannot be known, so its condition is not checked.
    """
    if trace is None:
        demand(condition, None)
        return None
    if trace.etag is not None and _is_of(trace, call):
        return Stored(trace.etag, own.sha256)
    overtaken = trace.seq > call.seq
    if not (overtaken and call.takeover):
        demand(condition, trace.etag)
    return own._replace(superseded=True) if overtaken else None


def _is_of(trace: ObjectTrace, call: Call) -> bool:
    """Return whether this command left it.

    The `seq` is compared too: older releases stored op_ids.
    """
    return trace.mark == call.mark or trace.seq == call.seq
