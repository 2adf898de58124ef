"""Whether the events of the log are the ones that were written, all of them, in their order."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from signalbox.routing.event import TYPE_PREFIX, StreamEvent
from signalbox.routing.row import Head

_REMEMBERED = 100_000
"""Events before the last one to which a registry that lost some may have gone back."""


@dataclass(frozen=True)
class Fault:
    """The first link that does not hold."""

    revision: int
    reason: str


class Chain:
    """Takes events in order and remembers the first that is not what it should be.

    A registry that lost events goes on behind an earlier one. That is a fault until an operator
    has declared it right (`rebased`); what was lost is counted then.
    """

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.count = 0
        self.lost = 0
        """Events that an archive has, and that no longer count since a rebase."""
        self.first_revision = 0
        self.last_revision = 0
        self.last_hash = ""
        self._begun = False
        self._branch: Fault | None = None
        self._recent: OrderedDict[int, str] = OrderedDict()
        self._again: dict[int, str] = {}
        self._overlap: int | None = None

    def begin(self, base: Head) -> None:
        """Start behind `base`: what stands before it was trimmed."""
        self._begun = True
        self.last_revision, self.last_hash = base.revision, base.hash
        self._recent[base.revision] = base.hash

    def begin_archive(self, base: Head) -> None:
        """What comes now is archived; what of it stands behind `base` comes again, from the log."""
        self._overlap = base.revision

    def begin_log(self, base: Head) -> None:
        """What comes now is the log, of which all up to `base` was trimmed."""
        self._overlap = None
        self._again = {r: digest for r, digest in self._again.items() if r > base.revision}
        if not self._begun:
            self.begin(base)

    def add(self, event: StreamEvent) -> None:
        """Take the next event; one that was archived, and is still in the log, must be the same."""
        if self.fault is not None:
            return
        if event.hash != event.digest():
            self._break(event, "its content is not what its hash says")
            return
        if self._overlap is None and self._again.get(event.revision) == event.hash:
            del self._again[event.revision]
            return
        if not self._begun:
            # An archive that begins later than the log did is taken as it is.
            self.begin(Head(event.epoch, event.revision - 1, event.prev))
        if event.revision <= self.last_revision:
            self._go_back(event)
        elif event.revision != self.last_revision + 1:
            self._break(event, f"it follows revision {self.last_revision}")
        elif event.prev != self.last_hash:
            self._break(event, "it names another event as the one before it")
        if self.fault is None:
            self._take(event)

    def add_unreadable(self) -> None:
        """The next event is there, and cannot be read as one."""
        self.fault = self.fault or Fault(self.last_revision + 1, "it cannot be read")

    def end(self, head: Head) -> None:
        """The registry says that its newest event is `head`."""
        self.fault = self.fault or self._branch
        if self.fault is not None or (head.revision == 0 and self.count == 0):
            return
        if self._again:
            self.fault = Fault(min(self._again), "it is archived, and missing from the log")
        elif self.last_revision != head.revision:
            self.fault = Fault(
                min(self.last_revision, head.revision) + 1,
                f"the events end at {self.last_revision}, the registry is at {head.revision}",
            )
        elif self.last_hash != head.hash:
            self.fault = Fault(head.revision, "the registry's head names another event")

    def _take(self, event: StreamEvent) -> None:
        self.count += 1
        self.first_revision = self.first_revision or event.revision
        self.last_revision, self.last_hash = event.revision, event.hash
        self._recent[event.revision] = event.hash
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        if self._overlap is not None and event.revision > self._overlap:
            self._again[event.revision] = event.hash
        if event.type == TYPE_PREFIX + "rebased":
            self._branch = None

    def _go_back(self, event: StreamEvent) -> None:
        known = self._recent.get(event.revision)
        if known == event.hash or self._recent.get(event.revision - 1) != event.prev:
            self._break(event, f"it follows revision {self.last_revision}")
            return
        if self._branch is None:
            self._branch = Fault(event.revision, "there are two different events of this revision")
        self.lost += self.last_revision - event.revision + 1
        for revision in range(event.revision, self.last_revision + 1):
            self._recent.pop(revision, None)
            self._again.pop(revision, None)

    def _break(self, event: StreamEvent, reason: str) -> None:
        self.fault = self._branch or Fault(event.revision, reason)
