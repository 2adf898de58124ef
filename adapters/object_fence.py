"""Fencing of object writes: conditions are fulfilled, and an older write never undoes a newer one.

This is for services that know conditions, but not the order in which commands were accepted. The
writer's mark and `seq` are stored with an object. `fenced` means: an object that the command itself
wrote is its result; one that a newer command wrote is kept; any other is replaced only if it is
still the one that was seen.

First attempts arrive in order, so a first attempt may write without looking if it expects no
object: the service refuses the write if there is one, and then it looks. What is in doubt, as a
takeover is, always looks first.

A fenced delete leaves a tombstone in another area, even if there was no object, with its own mark
and `seq` and the mark of what it removed. What is in doubt and finds no object reads it: an object
that a newer command deleted is not written again.
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
"""Maximum number of attempts while others write the same object."""
_NOTHING = InlinePayload(data=b"")


@dataclass(frozen=True)
class Slot:
    """One key for one call, with the name of its tombstone; None in areas without deletes."""

    driver: ObjectDriver
    """The driver."""
    call: Call
    """The call."""
    name: str
    """The object's name."""
    tombstone_name: str | None = None
    """The tombstone's name."""

    @classmethod
    def of(cls, driver: ObjectDriver, call: Call, key: str) -> Slot:
        """Make the slot of a key. Raises InvalidKey."""
        return cls(driver, call, driver.name(key), driver.name(key, Area.TOMBSTONES))

    def look(self, *, sure: bool = False) -> StoredObject | None:
        """Return what is known of the object; see `ObjectDriver.look`."""
        return self.driver.look(self.name, sure=sure)

    def write(self, draft: Draft, condition: Condition) -> str:
        """Write the object; return its ETag.

        Raises Changed, also if an earlier attempt whose response was lost has written it.
        """
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
        """Remove the object. Raises Changed."""
        self.driver.remove(self.name, etag, self.call)

    def tombstone(self) -> Tombstone | None:
        """Return the tombstone; None if there is none."""
        there = (
            self.driver.look(self.tombstone_name, sure=False)
            if self.tombstone_name is not None
            else None
        )
        return tombstone_of(there) if there else None

    def bury(self, there: StoredObject | None = None) -> None:
        """Write a tombstone for the object, or for none, replacing an older tombstone."""
        if self.tombstone_name is None:
            return
        removed = (mark_of(there), there.etag) if there is not None else (None, None)
        tombstone = Tombstone(self.call.mark, self.call.seq, *removed)
        draft = Draft(_NOTHING, attributes=tombstone.attributes)
        self.driver.write(self.tombstone_name, draft, Condition(), self.call)


class Expectation:
    """Whether puts of a scope mostly find no object: then the first request is the write."""

    new_keys = True


@dataclass(frozen=True)
class Written:
    """The result of a write; `repeated` if an earlier attempt of the command had done it."""

    etag: str
    """ETag of the object."""
    repeated: bool = False
    """True if an earlier attempt of the same command had written it."""
    superseded: bool = False
    """True if a newer command's effect was kept instead."""


def write(
    slot: Slot,
    draft: Draft,
    condition: Condition,
    expectation: Expectation,
    *,
    fenced: bool,
) -> Written:
    """Store the draft if the condition holds. Raises AlreadyExists and PreconditionFailed.

    After a refused condition it looks once more, since an attempt whose response was lost would
    otherwise be refused because of its own object.
    """
    call = slot.call
    conditional = condition.if_absent or condition.if_match is not None
    large = draft.size > slot.driver.traits.small_bytes
    looking = call.in_doubt or (large and (fenced or conditional))
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
    raise _contended()


def remove(slot: Slot, if_match: str | None, *, fenced: bool) -> bool:
    """Delete the object; return whether a newer command's object was kept instead.

    Raises PreconditionFailed (`if_match`). For a takeover, a missing object counts as done: an
    earlier attempt may have removed it.
    """
    call = slot.call
    if not fenced and if_match is None:
        slot.remove(None)
        return False
    for _ in range(LOOKS):
        # Writing a tombstone afterwards would report a missing bucket.
        there = slot.look(sure=not fenced or if_match is not None)
        if there is None and call.in_doubt:
            if not call.takeover:
                demand(Condition(if_match=if_match), None)
            buried = slot.tombstone()
            if buried is None or buried.seq < call.seq:
                slot.bury()
            return False
        if fenced and there is not None and seq_of(there) > call.seq:
            if call.takeover:
                # The object that it was to delete is gone in any case, perhaps by its own earlier
                # attempt.
                buried = slot.tombstone()
                return buried is None or buried.mark != call.mark
            if if_match is None or call.stale:
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
    raise _contended()


def _overtaken(slot: Slot, there: StoredObject | None, *, conditional: bool) -> Written | None:
    """Return the result of a put that a newer command superseded; None if none did."""
    call = slot.call
    if there is not None:
        # A first attempt with a condition is answered by the condition alone: it may name the newer
        # object's own ETag, and a success without effect would lose a step.
        newer = seq_of(there) > call.seq and (call.in_doubt or not conditional)
    else:
        buried = slot.tombstone() if call.in_doubt else None
        newer = buried is not None and buried.seq > call.seq
        if newer and buried and buried.removed_etag and buried.removed_mark == call.mark:
            return Written(buried.removed_etag, repeated=True)
    # Its own ETag was never known, and the newer object's is not its result.
    return Written(f"superseded-{call.seq}", superseded=True) if newer else None


def _contended() -> Contended:
    return Contended(
        f"the object changed under each of {LOOKS} looks", next_step="it is tried again"
    )
