"""Follows the route log and keeps a worker's cache current, so that claims rarely have to read."""

from __future__ import annotations

import threading

import structlog

from signalbox.commands.error import RegistryUnproven, StateUnavailable
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.policy.policy import policy_of
from signalbox.routing.registry.event import TYPE_PREFIX, StreamEvent
from signalbox.routing.registry.event_log import EventLog
from signalbox.routing.registry.records import Head, Position
from signalbox.routing.registry.roster_reader import RosterReader
from signalbox.routing.route import fence_of, route_of

log = structlog.get_logger("signalbox.routes")
BLOCK_MS = 1000


class LogFollower:
    """A thread that reads new events and updates the cache. A gap in the log empties the cache."""

    def __init__(
        self, cache: RouteCache, events: EventLog, rosters: RosterReader | None = None
    ) -> None:
        """With `rosters`, events that are not proven are a gap too."""
        self._cache = cache
        self._events = events
        self._rosters = rosters
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="route-tail", daemon=True)
        self._at: Head | None = None
        self._seen: Head | None = None
        """The newest event of this epoch that was read, kept across gaps and lost connections."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait up to three seconds for its end."""
        self._stopped.set()
        self._thread.join(timeout=BLOCK_MS / 1000 * 3)

    def run_once(self) -> None:
        """Wait up to a second for new events and apply them. Raises StateUnavailable."""
        if self._cache.distrusted:
            self._at = None  # a claim has found something lost: look where the log is
        if self._at is None and not self._begin():
            self._stopped.wait(BLOCK_MS / 1000)
            return
        assert self._at is not None  # noqa: S101 - `_begin` has set it
        events = self._events.events(self._at.revision, block_ms=BLOCK_MS)
        verifier = self._rosters.check() if self._rosters is not None and events else None
        for event in events:
            follows = event.revision == self._at.revision + 1 and event.prev == self._at.hash
            # What was edited must not get into the cache under the fence of what was written.
            counts = event.hash == event.digest()
            if verifier is not None:
                begins = event.type == TYPE_PREFIX + "rebased"
                counts = verifier.proves(event) and (begins or event.epoch == self._at.epoch)
            if not follows or not counts:
                log.warning("gap in the route log", at=self._at.revision, next=event.revision)
                self._at = None
                return
            self._take(event)
        if not events and self._events.head() != self._at:
            # Behind the head with nothing to read: trimmed, restored, or another history.
            newer = self._events.events(self._at.revision, limit=1)
            self._at = self._at if newer else None

    def _begin(self) -> bool:
        """Start at the head, if it is that of a log which goes on where it was seen last."""
        head = self._events.head()
        lost = self._what_was_lost(head)
        if lost is not None:
            self._cache.distrust(lost)
            log.error("the registry lost changes: nothing runs", reason=lost, now=head.revision)
            return False
        if not self._counts(head):
            log.warning("the head of the route log is not proven", at=head.revision)
            return False
        self._cache.trust(Position.of(head) if head.revision else None)
        self._cache.forget()
        self._at = head
        self._seen = head if head.revision else self._seen
        return True

    def _counts(self, head: Head) -> bool:
        """True if the event that the head names is proven, where changes are signed."""
        if self._rosters is None or not head.revision:
            return True
        found = self._events.events(head.revision - 1, limit=1)
        return (
            bool(found)
            and Head(found[0].epoch, found[0].revision, found[0].hash) == head
            and self._rosters.check().proves(found[0])
        )

    def _what_was_lost(self, head: Head) -> str | None:
        seen = self._seen
        if seen is None:
            return None
        if head.revision and head.epoch > seen.epoch:
            if self._rosters is None or self._rosters.began(head.epoch):
                return None
            return f"no signed rebase began epoch {head.epoch} of the registry"
        if head.revision < seen.revision or head.epoch != seen.epoch:
            return (
                f"the registry was at revision {seen.revision} of epoch {seen.epoch}, and is at "
                f"{head.revision} of {head.epoch if head.revision else 'none'} now"
            )
        found = self._events.events(seen.revision - 1, limit=1)
        if found and found[0].revision == seen.revision and found[0].hash != seen.hash:
            return f"revision {seen.revision} of the log is another event than it was"
        return None

    def _take(self, event: StreamEvent) -> None:
        self._at = self._seen = Head(event.epoch, event.revision, event.hash)
        self._cache.reach(Position.of(self._at))
        fence = fence_of(event.revision, event.hash)
        change = route_of(event)
        if change is not None:
            scope, route = change
            self._cache.learn(scope, fence, route)
        policy = policy_of(event)
        if policy is not None:
            self._cache.learn_policy(policy, fence)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.run_once()
            except StateUnavailable:
                # It may come back older, and be changed until it looks newer: nothing runs before
                # this has looked where the log goes on.
                if self._seen is not None:
                    self._cache.distrust("the state Redis was away and was not looked at since")
                self._at = None
                self._stopped.wait(0.2)
            except RegistryUnproven:
                self._at = None
                log.warning("the list of principals is not proven", exc_info=True)
                self._stopped.wait(0.5)
            except ValueError:
                # An event of a newer version, in a rolling upgrade. To skip it alone would hide
                # a change; to end here would leave every later one to be read by the claims.
                self._at = None
                log.warning("unreadable event in the route log", exc_info=True)
                self._stopped.wait(0.5)
