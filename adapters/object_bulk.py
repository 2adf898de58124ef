"""Puts and deletes of objects in transactions that look first: contents first, then one transaction
that decides, then the clearing up. Every write is fenced by `seq`, not only a takeover.
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
    ObjectStaging,
    ObjectTrace,
    ObjectTurn,
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
    """The end of a put: what it stored, or would have stored."""

    etag: str
    sha256: str
    superseded: bool = False


class _Put(NamedTuple):
    """A put on its way."""

    number: int
    command: PutObject
    call: Call
    staged: Staged
    own: Stored


class ObjectBulk:
    """The transactions of one store."""

    def __init__(self, driver: TransactionalObjectDriver, reporter: Reporter) -> None:
        self._driver = driver
        self._reporter = reporter

    def put(self, items: Sequence[tuple[PutObject, Call]]) -> list[Stored | SignalboxError]:
        """Store all of them in one transaction, in this order; the end or the error of each.

        What is wrong with one item, or with the writing of its content, is its own error, and none
        on its key is attempted behind a temporary one. A failed sync or commit is that of all that
        had come so far, and then none of them is stored.
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
        """Delete all of them in one transaction, in this order; whether each was superseded, or its
        error. None on a key is attempted behind a temporary error on it."""
        return self._decide(
            [(command.key, call) for command, call in items],
            lambda decisions, n: decisions.delete(*items[n]),
            self._driver.staging(),
            (),
        )

    def head(self, commands: Sequence[HeadObject]) -> list[ObjectInfo | SignalboxError]:
        """An answer for each."""
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
        """An answer for each, by one look for all; None where the content has to be opened."""
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
        """The put with its content, or its end if it has one already. `first` of its key."""
        payload = command.payload
        sha256 = payload.sha256
        # It changes with each write, also of equal content; and a command that was overtaken knows
        # the one it would have had.
        own = Stored(f"{call.seq:016x}{sha256[:16]}", sha256)
        if call.takeover and isinstance(payload, StagedPayload):
            try:
                # The payload may be gone if the put was done.
                trace = self._driver.traces([command.key]).get(command.key)
                if done := settled(command.condition, trace, own, call):
                    return done
            except SignalboxError:
                if first:
                    raise
                # What came before it in the bulk may be what its condition demands.
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
        """The one transaction. Of the staged contents those are removed that nothing names after
        it."""
        if not items:
            return []
        answers: list[Answer | SignalboxError] = []
        stopped: dict[str, SignalboxError] = {}
        written = False
        lease = earliest(open_calls([call for _, call in items]))
        try:
            with self._reporter.errors(), self._driver.turn(lease) as turn:
                decisions = _Decisions(turn, {key for key, _ in items})
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
                turn.write(decisions.after)
                written = True
        except SignalboxError as error:
            # If the commit failed it may have happened all the same, so no content is removed.
            if not written:
                staging.discard(staged)
            # What was refused in it may have been so because of another's effect.
            return [error] * len(items)
        if staged:
            named = {id(left) for left in decisions.after.values()}
            staging.discard([each for each in staged if id(each) not in named])
        return answers


class _Decisions:
    """The writes of one transaction, each on top of those before it."""

    def __init__(self, turn: ObjectTurn, keys: set[str]) -> None:
        self._before = turn.look(keys)
        self.after: dict[str, Staged | Gone] = {}

    def put(self, put: _Put) -> Stored:
        """Raises what the command's condition demands."""
        key, call = put.command.key, put.call
        trace = self._trace(key)
        ended = settled(put.command.condition, trace, put.own, call)
        if ended is not None:
            return ended
        # Asked under the writers' lock: whoever took the command over comes before it and the
        # lease is gone, or after the commit.
        call.remaining()
        size = put.command.payload.size
        if trace is not None and trace.etag is not None:
            call.grew(0, size - trace.size)
        else:
            call.grew(1, size)
        self.after[key] = put.staged
        return put.own

    def delete(self, command: DeleteObject, call: Call) -> bool:
        """Whether it was superseded. Raises PreconditionFailed (`if_match`).

        Where there is no object either, a tombstone keeps older writes out.
        """
        trace = self._trace(command.key)
        there = trace if trace is not None and trace.etag is not None else None
        own = trace is not None and _is_of(trace, call)
        overtaken = trace is not None and trace.seq > call.seq
        # A takeover that finds nothing at all may have left a tombstone that was removed since.
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
        """What the last write on the key left. Raises IntegrityMismatch."""
        left = self.after.get(key) if self.after else None
        if left is None:
            return self._before.get(key)
        return left if isinstance(left, Gone) else left.trace


def settled(
    condition: Condition, trace: ObjectTrace | None, own: Stored, call: Call
) -> Stored | None:
    """What to answer a put with if there is nothing to write: done already, or overtaken.

    Raises what its condition demands. A takeover that was overtaken may have held its condition
    in its first attempt, and cannot know: it gets the benefit of the doubt.
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
    """Whether this command left it. Its number tells it too: an older release kept op_ids."""
    return trace.mark == call.mark or trace.seq == call.seq
