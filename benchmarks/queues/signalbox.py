"""Signalbox in the comparison: its client, its workers, the embedded object store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import apsw
import psutil

from benchmarks.lane import ENV, PATIENCE, Lane, lane
from benchmarks.queues.contender import DATA, WORKERS
from commands.object_store import PutObject
from commands.payload import InlinePayload
from producers.embedded.redis_server import RedisServer
from producers.submission import Submission

_PAYLOAD = InlinePayload(data=DATA.encode())


class Signalbox:
    """See `Contender`. Each round has a tenant of its own, and thereby an index of its own."""

    def __init__(self, its: Lane, size: int) -> None:
        self.size = size
        self._lane = its
        self._tenant = ""
        self._index: apsw.Connection | None = None
        self._sent: list[Submission] = []

    def begin(self, round_name: str) -> None:
        self._tenant = f"t_{round_name}"
        self._index = None
        self._sent = []
        self._lane.route(self._tenant)

    def send(self, names: Sequence[str]) -> None:
        puts = [
            PutObject(tenant_id=self._tenant, env=ENV, key=name, payload=_PAYLOAD) for name in names
        ]
        if self.size == 1:
            self._sent += [self._lane.client.submit(put) for put in puts]
            return
        submissions = self._lane.client.submit_many(puts)
        for submission in submissions:
            submission.raise_if_refused()
        self._sent += submissions

    def effects(self) -> int:
        if self._index is None:
            stored = self._lane.data / "stored"
            found = [p for p in stored.rglob("objects.db") if self._tenant in str(p)]
            if not found:
                return 0
            self._index = apsw.Connection(str(found[0]), flags=apsw.SQLITE_OPEN_READWRITE)
        with suppress(apsw.BusyError, apsw.SQLError):  # it is being made
            row = self._index.execute("SELECT count(*) FROM objects").fetchone()
            return int(row[0]) if row else 0
        return 0

    def moments(self) -> dict[str, int]:
        outcomes = self._lane.client.wait(self._sent, PATIENCE)
        found = {}
        for submission, outcome in zip(self._sent, outcomes, strict=True):
            if outcome is None or outcome.error is not None:
                raise RuntimeError(f"a put was not done: {outcome and outcome.error}")
            ended = outcome.claimed_at + timedelta(milliseconds=outcome.duration_ms)
            found[submission.command.subject] = int(ended.timestamp() * 1e9)
        return found

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(worker.pid) for worker in self._lane.stack.workers]


@contextmanager
def signalbox(size: int, data: Path, redis: RedisServer) -> Iterator[Signalbox]:
    """Start the workers and a client; all ends with the block."""
    with lane(data, WORKERS, redis) as its:
        yield Signalbox(its, size)
