"""Writes and deletes of objects that keep their condition, and never undo something newer.

Written once for the object stores whose servers know conditions, and nothing of the order in which
commands were accepted. Beside an object stand its mark and its `seq`. `fenced` means: what the
command itself left there is its result; what a newer command left stays; everything else is
replaced only as it was seen.

A first attempt comes in order, so it may write before it looks where nothing is expected: the
server refuses it if something is there, and then it looks. A takeover looks first.

A fenced delete leaves a tombstone in another place, also where nothing was, with its own mark and
`seq` and the mark of what it removes. It is read by takeovers that find nothing: a put whose object
a newer command deleted is not written again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adapters.object_condition import demand
from adapters.port import Call
from commands.error import Contended
from commands.object_store import Condition

LOOKS = 4


class Changed(Exception):
    """The server refused a condition: what was seen is no longer there."""


class Seen(Protocol):
    """An object that is there."""

    @property
    def etag(self) -> str: ...

    @property
    def mark(self) -> str | None:
        """Of the acceptance that wrote it; None if it came another way (a presigned upload)."""

    @property
    def seq(self) -> int:
        """Of the command that wrote it; -1, older than any, if it came another way."""


@dataclass(frozen=True)
class Tombstone:
    """What a delete left: who deleted, and what."""

    mark: str
    seq: int
    removed_mark: str | None = None
    removed_etag: str | None = None
    """Of the object that was there, if one was, and if Signalbox wrote it."""


class Slot(Protocol):
    """One key on one server, for one call. Its own errors pass through."""

    @property
    def large(self) -> bool:
        """Whether a look costs little beside sending the content."""

    def look(self, *, sure: bool) -> Seen | None:
        """What is there; `sure` tells nothing there from a missing bucket."""

    def write(self, condition: Condition) -> str:
        """Store the content, and return its ETag. Raises Changed."""

    def remove(self, etag: str | None) -> None:
        """Remove what is there, or only that; what is gone already is no error. Raises Changed."""

    def tombstone(self) -> Tombstone | None: ...

    def bury(self, tombstone: Tombstone) -> None:
        """Leave it, in place of an older one."""


class Expectation:
    """Whether the puts of a scope mostly find nothing: then the first request is the write."""

    new_keys = True


@dataclass(frozen=True)
class Written:
    """How a write ended: `repeated` if an earlier attempt of the same command had done it."""

    etag: str
    repeated: bool = False
    superseded: bool = False


def write(
    slot: Slot, call: Call, condition: Condition, expectation: Expectation, *, fenced: bool
) -> Written:
    """Store the slot's content if `condition` holds. Raises AlreadyExists and PreconditionFailed.

    A refused condition is looked into once more: an attempt whose answer was lost would otherwise
    be refused by its own object.
    """
    conditional = condition.if_absent or condition.if_match is not None
    looking = call.takeover or (slot.large and (fenced or conditional))
    demanded = condition
    if fenced and not conditional:
        looking = looking or not expectation.new_keys
        demanded = Condition(if_absent=True)
    for _ in range(LOOKS):
        if looking:
            there = slot.look(sure=False)
            if there is not None and there.mark == call.mark:
                return Written(there.etag, repeated=True)
            if fenced:
                if ended := _overtaken(slot, there, call, conditional=conditional):
                    return ended
                demanded = Condition(if_match=there.etag) if there else Condition(if_absent=True)
            demand(condition, there.etag if there else None)
            expectation.new_keys = there is None
        try:
            return Written(slot.write(demanded))
        except Changed:
            looking = True
    raise _restless()


def remove(slot: Slot, call: Call, if_match: str | None, *, fenced: bool) -> bool:
    """Delete what is under the key; whether a newer command's object was left there instead.

    Raises PreconditionFailed (`if_match`). On a takeover nothing there counts as done: an earlier
    attempt may have removed it.
    """
    if not fenced and if_match is None:
        slot.remove(None)
        return False
    for _ in range(LOOKS):
        # A tombstone that follows would tell a missing bucket.
        there = slot.look(sure=not fenced or if_match is not None)
        if there is None and call.takeover:
            buried = slot.tombstone()
            if buried is None or buried.seq < call.seq:
                slot.bury(Tombstone(call.mark, call.seq))
            return False
        if fenced and there is not None and there.seq > call.seq:
            if call.takeover:
                # What it was to remove is gone in any case; perhaps by its own earlier attempt.
                buried = slot.tombstone()
                return buried is None or buried.mark != call.mark
            if if_match is None:
                return True
        demand(Condition(if_match=if_match), there.etag if there else None)
        if fenced and there is None:
            slot.bury(Tombstone(call.mark, call.seq))
        elif fenced and there is not None:
            slot.bury(Tombstone(call.mark, call.seq, there.mark, there.etag))
        if there is None:
            return False
        try:
            slot.remove(there.etag)
        except Changed:
            continue
        return False
    raise _restless()


def _overtaken(slot: Slot, there: Seen | None, call: Call, *, conditional: bool) -> Written | None:
    """The end of a put that a newer command came after, if one did."""
    if there is not None:
        # A first attempt with a condition has its answer from that alone: it may name the newer
        # one's own ETag, and a success without effect would be a lost step.
        newer = there.seq > call.seq and (call.takeover or not conditional)
    else:
        buried = slot.tombstone() if call.takeover else None
        newer = buried is not None and buried.seq > call.seq
        if newer and buried and buried.removed_etag and buried.removed_mark == call.mark:
            return Written(buried.removed_etag, repeated=True)
    # Its own ETag was never seen, and that of the newer one is not its to give.
    return Written(f"superseded-{call.seq}", superseded=True) if newer else None


def _restless() -> Contended:
    return Contended(
        f"the object changed under each of {LOOKS} looks", next_step="it is tried again"
    )
