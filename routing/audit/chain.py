"""Verifies the hash chain of the route log: no event is changed, missing or out of order."""

from __future__ import annotations

from collections import OrderedDict

from signalbox.routing.audit.authorship import Authorship
from signalbox.routing.audit.fault import Fault
from signalbox.routing.registry.event import TYPE_PREFIX, StreamEvent
from signalbox.routing.registry.records import Head

_REMEMBERED = 100_000
"""Recent events that are remembered, to find where a registry that lost events resumed."""


class Chain:
    """Takes events in order and keeps the first fault.

    A registry that lost events continues from an earlier event. That is a fault until a `rebased`
    event, by which an operator accepts the loss; the lost events are then counted in `lost`.
    """

    def __init__(self, authorship: Authorship | None = None) -> None:
        """With `authorship`, who signed each event is verified too."""
        self.authorship = authorship
        self.fault: Fault | None = None
        self.count = 0
        self.lost = 0
        """Number of archived events that a rebase has replaced by others."""
        self.first_revision = 0
        self.last_revision = 0
        self.last_hash = ""
        self._begun = False
        self._branch: Fault | None = None
        self._recent: OrderedDict[int, str] = OrderedDict()
        self._again: dict[int, str] = {}
        self._overlap: int | None = None

    def begin(self, base: Head) -> None:
        """Start after `base`; the events up to it were trimmed."""
        self._begun = True
        self.last_revision, self.last_hash = base.revision, base.hash
        self._recent[base.revision] = base.hash

    def begin_archive(self, base: Head) -> None:
        """Expect archived events now. Those above `base` come again from the log."""
        self._overlap = base.revision

    def begin_log(self, base: Head) -> None:
        """Expect the events of the log now; those up to `base` were trimmed from it."""
        self._overlap = None
        self._again = {r: digest for r, digest in self._again.items() if r > base.revision}
        if not self._begun:
            self.begin(base)

    def add(self, event: StreamEvent) -> None:
        """Check the next event. One that is archived and in the log must be the same in both."""
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
        """Record that the next event exists but cannot be parsed."""
        self.fault = self.fault or Fault(self.last_revision + 1, "it cannot be read")

    def end(self, head: Head) -> None:
        """Finish: check that the last event is the registry's newest one, `head`."""
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
        elif self.authorship is not None:
            self.authorship.end()
            self.fault = self.authorship.fault

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
        if self.authorship is not None:
            self.authorship.add(event)
            self.fault = self.authorship.fault

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
