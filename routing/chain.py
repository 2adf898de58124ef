"""Whether the events of the log are the ones that were written, all of them, in their order."""

from __future__ import annotations

from dataclasses import dataclass

from routing.event import StreamEvent
from routing.row import Head


@dataclass(frozen=True)
class Fault:
    """The first link that does not hold."""

    revision: int
    reason: str


class Chain:
    """Takes events in order and remembers the first that is not what it should be."""

    def __init__(self, overlap: int = 0) -> None:
        """Events behind revision `overlap` may come twice: from the archive and from the log."""
        self._overlap = overlap
        self._begun = False
        self.fault: Fault | None = None
        self.count = 0
        self.first_revision = 0
        self.last_revision = 0
        self.last_hash = ""
        self._hashes: dict[int, str] = {}

    def begin(self, base: Head) -> None:
        """Start behind `base`: what stands before it was trimmed."""
        self._begun = True
        self.last_revision, self.last_hash = base.revision, base.hash

    def add(self, event: StreamEvent) -> None:
        """Take the next event; one that was taken already (archived, and still in the log) must
        be the same."""
        if self.fault is not None:
            return
        known = self._hashes.get(event.revision)
        if known == event.hash == event.digest():
            return
        if known is not None:
            self._break(event, "there are two different events of this revision")
        elif event.hash != event.digest():
            self._break(event, "its content is not what its hash says")
        elif not self._begun:
            # An archive that begins later than the log did is taken as it is.
            self.begin(Head(event.epoch, event.revision - 1, event.prev))
            self.add(event)
        elif event.revision != self.last_revision + 1:
            self._break(event, f"it follows revision {self.last_revision}")
        elif event.prev != self.last_hash:
            self._break(event, "it names another event as the one before it")
        else:
            self.count += 1
            self.first_revision = self.first_revision or event.revision
            self.last_revision, self.last_hash = event.revision, event.hash
            if event.revision > self._overlap:
                self._hashes[event.revision] = event.hash

    def end(self, head: Head) -> None:
        """The registry says that its newest event is `head`."""
        if self.fault is not None or (head.revision == 0 and self.count == 0):
            return
        if self.last_revision != head.revision:
            self.fault = Fault(
                min(self.last_revision, head.revision) + 1,
                f"the events end at {self.last_revision}, the registry is at {head.revision}",
            )
        elif self.last_hash != head.hash:
            self.fault = Fault(head.revision, "the registry's head names another event")

    def _break(self, event: StreamEvent, reason: str) -> None:
        self.fault = Fault(event.revision, reason)
