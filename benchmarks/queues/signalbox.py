"""Signalbox in the comparison: its client, its workers, its embedded stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import redis

from benchmarks.queues.contender import DATA, ROUSE, WORKERS, FairThreads
from benchmarks.testbed import ENV, TIMEOUT, Testbed, open_testbed
from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.metrics_store import IngestPoints, Point
from signalbox.commands.model import Command
from signalbox.commands.object_store import DeleteObject, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import UpsertRow
from signalbox.producers.client.submission import Submission
from signalbox.producers.embedded.redis_server import RedisServer

_PAYLOAD = InlinePayload(data=DATA.encode())
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Work:
    """What the commands of a row do, and the file and table of the store that tell it."""

    kind: ResourceKind
    make: Callable[[str, str], Command]
    """Of tenant and name."""
    file: str
    table: str
    deletes: bool = False


def _put(tenant: str, name: str) -> Command:
    return PutObject(tenant_id=tenant, env=ENV, key=name, payload=_PAYLOAD)


def _delete(tenant: str, name: str) -> Command:
    return DeleteObject(tenant_id=tenant, env=ENV, key=name)


def _upsert(tenant: str, name: str) -> Command:
    return UpsertRow(tenant_id=tenant, env=ENV, table_name="bench", key=name, data={"text": DATA})


def _ingest(tenant: str, name: str) -> Command:
    moment = _BEGIN + timedelta(milliseconds=int(name[1:]))
    point = Point(series="cpu", timestamp=moment, value=1.0, labels={"host": "a"})
    return IngestPoints(tenant_id=tenant, env=ENV, points=[point])


def _append(tenant: str, name: str) -> Command:
    event = Event(type="bench.happened", data={"text": DATA})
    return AppendEvent(tenant_id=tenant, env=ENV, stream=name, event=event)


PUTS = Work(ResourceKind.OBJECT_STORE, _put, "objects.db", "objects")
DELETES = Work(ResourceKind.OBJECT_STORE, _delete, "objects.db", "objects", deletes=True)
UPSERTS = Work(ResourceKind.TABULAR_STORE, _upsert, "tables.db", "rows")
INGESTS = Work(ResourceKind.METRICS_STORE, _ingest, "metrics.db", "points")
APPENDS = Work(ResourceKind.EVENT_STREAM, _append, "events.db", "events")
SIZES = (1, 3, 10, 30, 100, 300, 500)
"""Puts a submit, of the rows and of the graph."""
SINGLE, BATCHED = "signalbox", "signalbox 100"
ROWS = {SINGLE if size == 1 else f"signalbox {size}": (size, PUTS) for size in SIZES} | {
    "signalbox 100 rows": (100, UPSERTS),
    "signalbox 100 points": (100, INGESTS),
    "signalbox 100 events": (100, APPENDS),
    "signalbox 100 deletes": (100, DELETES),
}


class Signalbox:
    """See `Contender`. Each round has a tenant of its own, and thereby a file of its own."""

    def __init__(self, its: Testbed, crew: FairThreads, size: int, work: Work) -> None:
        self.size = size
        self.crew = crew
        self._lane = its
        self._work = work
        self._state: Any = redis.Redis.from_url(its.settings.state_url)
        self._tenant = ""
        self._sent: list[Submission] = []
        self._expected = 0

    def begin(self, round_name: str, names: Sequence[str]) -> None:
        self._tenant = f"t_{round_name}"
        self._sent = []
        self._lane.route(self._tenant, self._work.kind)
        rouse = [f"r{number:09}" for number in range(ROUSE)]
        if self._work.deletes:
            self._run([_put(self._tenant, name) for name in [*rouse, *names]])
        self._run([self._work.make(self._tenant, name) for name in rouse])
        self._expected = len(names)

    def send(self, names: Sequence[str]) -> None:
        commands = [self._work.make(self._tenant, name) for name in names]
        if self.size == 1:
            self._sent += [self._lane.client.submit(command) for command in commands]
            return
        submissions = self._lane.client.submit_many(commands)
        for submission in submissions:
            submission.raise_if_refused()
        self._sent += submissions

    def effects(self) -> int:
        """Of what has been sent, what is not open any more: its outcome is recorded as well. When
        nothing is open, what the store has."""
        shard = self._lane.client.ledger.shards.shard(self._tenant, ENV)
        scope = f"{self._tenant}/{ENV}/{self._work.kind}"
        if still := int(self._state.hget(f"{shard}:open", scope) or 0):
            return len(self._sent) - still
        return self._stored()

    def moments(self) -> dict[str, int]:
        outcomes = self._lane.client.wait(self._sent, TIMEOUT)
        found = {}
        for submission, outcome in zip(self._sent, outcomes, strict=True):
            if outcome is None or outcome.error is not None:
                raise RuntimeError(f"a command was not done: {outcome and outcome.error}")
            ended = outcome.claimed_at + timedelta(milliseconds=outcome.duration_ms)
            found[submission.command.subject] = int(ended.timestamp() * 1e9)
        return found

    def _stored(self) -> int:
        files = (self._lane.data / "stored").rglob(self._work.file)
        [path] = [path for path in files if self._tenant in path.parts]
        store = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            query = f"SELECT count(*) FROM {self._work.table}"  # noqa: S608 - a name of ours
            row: Any = store.execute(query).fetchone()
        finally:
            store.close()
        found = int(row[0])
        return self._expected - found if self._work.deletes else found - ROUSE

    def _run(self, commands: list[Command]) -> None:
        client = self._lane.client
        for outcome in client.wait(client.submit_many(commands), TIMEOUT):
            if outcome is None or outcome.error is not None:
                raise RuntimeError(f"a command was not done: {outcome and outcome.error}")


@contextmanager
def signalbox(data: Path, server: RedisServer) -> Iterator[dict[str, Signalbox]]:
    """Start the workers and a client; its rows by name. All ends with the block."""
    with ExitStack() as ending:
        its = ending.enter_context(open_testbed(data, WORKERS, server))
        crew = FairThreads([worker.pid for worker in its.stack.workers])
        ending.callback(crew.resume)  # what is stopped does not end
        yield {row: Signalbox(its, crew, size, work) for row, (size, work) in ROWS.items()}
