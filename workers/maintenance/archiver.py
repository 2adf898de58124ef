"""The archiver: appends every StreamEvent of the route log to the archive, once and in order.

It runs as a thread in every worker; the elected leader archives. Appends are submitted as commands
through the queue, so the archive's own route may be switched too. An event's id in the archive is
its hash, and each append names the version that it follows, so two leaders at once do no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from signalbox.commands.error import OutcomePending, RemoteError
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.settings import Settings
from signalbox.producers.archive import ARCHIVE_SCOPE, ARCHIVE_STREAM, archiving
from signalbox.producers.bulk.folder import Tenancy
from signalbox.producers.bulk.stream_reader import end_of
from signalbox.producers.client.client import Client
from signalbox.routing.audit.archive_mark import ArchiveMark, Mark
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.permit import Permits
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route
from signalbox.workers.maintenance.background_service import BackgroundService
from signalbox.workers.maintenance.election import Election

MAX_TURN = 200
"""Maximum number of events in one run."""
LONGEST_PAUSE = 300.0
"""Maximum seconds between attempts while the archive refuses appends."""
_TIMEOUT = timedelta(seconds=20)


class Archiver(BackgroundService):
    """Archives events, and trims archived ones except the newest `keep`."""

    name, interval = "archiver", 1.0

    def __init__(self, client: Client, registry: Registry, name: str, keep: int) -> None:
        """`name` is the worker's.

        `keep` is the number of archived events that stay in the registry.
        """
        super().__init__()
        self._client = client
        self._registry = registry
        self._mark = ArchiveMark(registry.client)
        self._permits = Permits(registry.client)
        self._leader = Election(registry.client, "archiver", name)
        self._keep = keep
        self._said = ""
        self._batch = 1
        self._left: tuple[int, str] | None = None
        """Revision and hash of the mark when this archiver last moved it."""
        self._pause = 0.0

    @classmethod
    def of(cls, settings: Settings, name: str) -> Archiver:
        """Make an archiver with its own connections."""
        client = Client(settings)
        # A signed change is made on a proven one: the newest event has to be in the log.
        keep = max(settings.route_log_keep, 1 if settings.trust_file else 0)
        return cls(client, Registry(client.state), name, keep)

    def run_once(self) -> int:
        """Archive a batch of events if this is the leader; return how many.

        Raises StateUnavailable and BrokerUnavailable.
        """
        if not self._leader.leads():
            return 0
        mark = self._mark.read()
        if (mark.revision, mark.hash) != self._left:
            # Moved by another archiver or by a restore, so its version may be older than the
            # archive's. Of several new events the first would then be refused, and a later one
            # could be accepted.
            self._batch = 1
        events = self._registry.events(mark.revision, limit=self._batch)
        if not events:
            self._trim(mark)
            return 0
        route = self._registry.get(ARCHIVE_SCOPE)
        if route is None:
            self._wait(
                f"no route for {ARCHIVE_SCOPE}: set one with signalbox routes set "
                f"{ARCHIVE_SCOPE.kind} <backend> -t {ARCHIVE_SCOPE.tenant_id} "
                f"-e {ARCHIVE_SCOPE.env}"
            )
            return 0
        try:
            if mark.route != route.fence:
                mark = self._count(mark, route)
            return self._append(mark, events, route)
        except (RemoteError, OutcomePending) as error:
            self._pause = min(LONGEST_PAUSE, 2 * self._pause + self.interval)
            self._wait(f"{error.code} {error.message}")
            return 0

    def _append(self, mark: Mark, events: Sequence[StreamEvent], route: Route) -> int:
        appends = [
            command.model_copy(update={"expected_version": mark.version + number})
            for number, command in enumerate(archiving(events, route.mode))
        ]
        # A reserved stream accepts appends only with a permit.
        self._permits.give(appends)
        outcomes = self._client.wait(self._client.submit_many(appends), _TIMEOUT)
        done = 0
        for event, outcome in zip(events, outcomes, strict=True):
            if outcome is None or outcome.status is not Status.DONE:
                self._stumble(outcome, route)
                break
            version = outcome.unwrap()["version"]
            if version != mark.version + 1:
                # The mark belongs to another archive, or the event was archived before the mark was
                # lost.
                self._log.info("the archive is at an unexpected version", version=version)
            mark = replace(mark, revision=event.revision, hash=event.hash, version=version)
            self._mark.move(event, version)
            self._left = (event.revision, event.hash)
            done += 1
        if done == len(events):
            self._said, self._pause = "", 0.0
            self._batch = min(MAX_TURN, self._batch * 4)
        return done

    def _stumble(self, outcome: Outcome | None, route: Route) -> None:
        # Each refused append becomes a dead letter, so append one at a time, and seldom.
        self._batch, self._pause = 1, min(LONGEST_PAUSE, 2 * self._pause + self.interval)
        if outcome is None:
            self._wait("the archive does not answer; see signalbox status")
            return
        error = outcome.error
        if error is None:
            return
        self._wait(f"{error.code} {error.message}")
        if error.code == "PRECONDITION_FAILED":
            self._count(self._mark.read(), route)

    def _count(self, mark: Mark, route: Route) -> Mark:
        """Set the mark's version to the end of this archive, which is not the one it was for."""
        tenancy = Tenancy(ARCHIVE_SCOPE.tenant_id, ARCHIVE_SCOPE.env, route.mode)
        version = end_of(self._client, tenancy, ARCHIVE_STREAM, _TIMEOUT)
        self._log.info("the end of the archive was found", version=version, expected=mark.version)
        self._mark.recount(version, route.fence)
        return replace(mark, version=version, route=route.fence)

    def _trim(self, mark: Mark) -> None:
        base = self._registry.log.base().revision
        upto = min(mark.revision - self._keep, base + MAX_TURN)
        if upto <= base:
            return
        events = self._registry.events(upto - 1, limit=1)
        if events and events[0].revision == upto:
            self._mark.trim(events[0], MAX_TURN)

    def _wait(self, reason: str) -> None:
        if reason != self._said:
            self._said = reason
            self._log.warning("the archiver waits", reason=reason)
            self._mark.wait(reason)

    def step(self) -> float:
        while self.run_once() and not self._stopped.is_set():
            pass
        return self.interval + self._pause
