"""Writes and deletes of objects that keep their condition, and never undo something newer.

For object stores whose servers know conditions, and nothing of the order in which commands were
accepted. Beside an object stand its mark and its `seq`. `fenced` means: what the command itself
left there is its result; what a newer command left stays; everything else is replaced only as it
was seen.

A first attempt comes in order, so it may write before it looks where nothing is expected: the
server refuses it if something is there, and then it looks. A takeover looks first.

A fenced delete leaves a tombstone in another place, also where nothing was, with its own mark and
`seq` and the mark of what it removes. It is read by takeovers that find nothing: a put whose object
a newer command deleted is not written again.
"""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.adapters.object_attributes import Tombstone, mark_of, seq_of, tombstone_of
from signalbox.adapters.object_condition import demand
from signalbox.adapters.object_driver import (
    Area,
    Changed,
    Doubtful,
    Draft,
    ObjectDriver,
    StoredObject,
)
from signalbox.adapters.port import Call
from signalbox.commands.error import Contended
from signalbox.commands.object_store import Condition
from signalbox.commands.payload import InlinePayload

LOOKS = 4
_NOTHING = InlinePayload(data=b"")


@dataclass(frozen=True)
class Slot:
    """One key for one call, and the name of its tombstone: None where nothing is ever deleted."""

    driver: ObjectDriver
    call: Call
    name: str
    grave: str | None = None

    @classmethod
    def of(cls, driver: ObjectDriver, call: Call, key: str) -> Slot:
        """Raises InvalidKey."""
        return cls(driver, call, driver.name(key), driver.name(key, Area.TOMBSTONES))

    def look(self, *, sure: bool = False) -> StoredObject | None:
        return self.driver.look(self.name, sure=sure)

    def write(self, draft: Draft, condition: Condition) -> str:
        """Its ETag. Raises Changed, also where an attempt whose answer was lost has written it."""
        try:
            return self.driver.write(self.name, draft, condition, self.call)
        except Doubtful as doubt:
            there = self.look()
            if there is not None and mark_of(there) == self.call.mark:
                raise Changed from None
            if doubt.__cause__ is not None:
                raise doubt.__cause__ from None
            raise

    def remove(self, etag: str | None) -> None:
        """Raises Changed."""
        self.driver.remove(self.name, etag, self.call)

    def tombstone(self) -> Tombstone | None:
        there = self.driver.look(self.grave, sure=False) if self.grave is not None else None
        return tombstone_of(there) if there else None

    def bury(self, there: StoredObject | None = None) -> None:
        """Leave a tombstone for what is there, or for nothing, in place of an older one."""
        if self.grave is None:
            return
        removed = (mark_of(there), there.etag) if there is not None else (None, None)
        tombstone = Tombstone(self.call.mark, self.call.seq, *removed)
        draft = Draft(_NOTHING, attributes=tombstone.attributes)
        self.driver.write(self.grave, draft, Condition(), self.call)


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
    slot: Slot,
    draft: Draft,
    condition: Condition,
    expectation: Expectation,
    *,
    fenced: bool,
) -> Written:
    """Store the draft if `condition` holds. Raises AlreadyExists and PreconditionFailed.

    A refused condition is looked into once more: an attempt whose answer was lost would otherwise
    be refused by its own object.
    """
    call = slot.call
    conditional = condition.if_absent or condition.if_match is not None
    large = draft.size > slot.driver.traits.small_bytes
    looking = call.takeover or (large and (fenced or conditional))
    demanded = condition
    if fenced and not conditional:
        looking = looking or not expectation.new_keys
        demanded = Condition(if_absent=True)
    for _ in range(LOOKS):
        if looking:
            there = slot.look()
            if there is not None and mark_of(there) == call.mark:
                return Written(there.etag, repeated=True)
            if fenced:
                if ended := _overtaken(slot, there, conditional=conditional):
                    return ended
                demanded = Condition(if_match=there.etag) if there else Condition(if_absent=True)
            demand(condition, there.etag if there else None)
            expectation.new_keys = there is None
        try:
            return Written(slot.write(draft, demanded))
        except Changed:
            looking = True
    raise _restless()


def remove(slot: Slot, if_match: str | None, *, fenced: bool) -> bool:
    """Delete what is under the key; whether a newer command's object was left there instead.

    Raises PreconditionFailed (`if_match`). On a takeover nothing there counts as done: an earlier
    attempt may have removed it.
    """
    call = slot.call
    if not fenced and if_match is None:
        slot.remove(None)
        return False
    for _ in range(LOOKS):
        # A tombstone that follows would tell a missing bucket.
        there = slot.look(sure=not fenced or if_match is not None)
        if there is None and call.takeover:
            buried = slot.tombstone()
            if buried is None or buried.seq < call.seq:
                slot.bury()
            return False
        if fenced and there is not None and seq_of(there) > call.seq:
            if call.takeover:
                # What it was to remove is gone in any case; perhaps by its own earlier attempt.
                buried = slot.tombstone()
                return buried is None or buried.mark != call.mark
            if if_match is None:
                return True
        demand(Condition(if_match=if_match), there.etag if there else None)
        if fenced:
            slot.bury(there)
        if there is None:
            return False
        try:
            slot.remove(there.etag)
        except Changed:
            continue
        return False
    raise _restless()


def _overtaken(slot: Slot, there: StoredObject | None, *, conditional: bool) -> Written | None:
    """The end of a put that a newer command came after, if one did."""
    call = slot.call
    if there is not None:
        # A first attempt with a condition has its answer from that alone: it may name the newer
        # one's own ETag, and a success without effect would be a lost step.
        newer = seq_of(there) > call.seq and (call.takeover or not conditional)
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
