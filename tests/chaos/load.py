"""Commands of all four kinds, singly and in batches, with what each of them should leave."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from signalbox.commands.error import StateUnavailable
from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.metrics_store import IngestPoints, Point
from signalbox.commands.model import Command
from signalbox.commands.object_store import Condition, PutObject
from signalbox.commands.outcome import Status
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import DeleteRow, RowCondition, UpsertRow
from signalbox.producers.client.client import Client
from signalbox.producers.client.submission import Submission
from tests.chaos.journal import Journal, Verdict

TENANT, ENV = "t_chaos", "dev"
PLACE = {"tenant_id": TENANT, "env": ENV}
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
MAX_OPEN = 4000
HOT = 24
BATCHES = (1, 1, 1, 5, 20, 100)
LONG = timedelta(minutes=5)

Make = Callable[[int, Journal], Command]


def an_object(number: int, journal: Journal) -> Command:
    key, content = f"once/{number % 97}/{number}", str(number).encode()
    journal.objects[key] = content
    return PutObject.model_validate(
        PLACE
        | {
            "key": key,
            "payload": InlinePayload(data=content),
            "condition": Condition(if_absent=True),
        }
    )


def a_hot_object(number: int, journal: Journal) -> Command:
    key, content = f"hot/{number % HOT}", str(number).encode()
    journal.hot_objects[key] = content
    return PutObject.model_validate(PLACE | {"key": key, "payload": InlinePayload(data=content)})


def a_row(number: int, journal: Journal) -> Command:
    key = f"row-{number}"
    journal.rows[key] = number
    condition = RowCondition(if_absent=True)
    fields = {"table_name": "once", "key": key, "data": {"n": number}, "condition": condition}
    return UpsertRow.model_validate(PLACE | fields)


def a_hot_row(number: int, journal: Journal) -> Command:
    key = f"hot-{number % HOT}"
    place = PLACE | {"table_name": "hot", "key": key}
    if number % 7 == 0:
        journal.hot_rows[key] = None
        return DeleteRow.model_validate(place)
    journal.hot_rows[key] = number
    return UpsertRow.model_validate(place | {"data": {"n": number}})


def some_points(number: int, journal: Journal) -> Command:
    points = []
    for step in range(3):
        at = number * 10 + step
        journal.points[at] = float(number)
        moment = ORIGIN + timedelta(microseconds=at)
        points.append(Point(series="chaos", timestamp=moment, value=float(number)))
    return IngestPoints.model_validate(PLACE | {"points": points})


def an_event(number: int, journal: Journal) -> Command:
    stream = f"stream-{number % HOT}"
    journal.streams[stream].append(number)
    event = Event(type="chaos", data={"n": number})
    return AppendEvent.model_validate(PLACE | {"stream": stream, "event": event})


# What stands twice comes twice as often. A hot key stands still while a dead worker's lease on it
# runs out, and would hold up all the rest if it were more of the load.
MAKERS: dict[ResourceKind, tuple[Make, ...]] = {
    ResourceKind.OBJECT_STORE: (an_object, an_object, a_hot_object),
    ResourceKind.TABULAR_STORE: (a_row, a_row, a_row, a_hot_row),
    ResourceKind.METRICS_STORE: (some_points, some_points),
    ResourceKind.EVENT_STREAM: (an_event,),
}


class Load:
    """Submits until it is told to stop, with a bounded number of commands on the way."""

    def __init__(
        self, client: Client, journal: Journal, seed: int, batches: tuple[int, ...] = BATCHES
    ) -> None:
        self._client = client
        self._batches = batches
        self._journal = journal
        self._random = random.Random(seed)
        self._numbers = iter(range(1, 10**9))
        self._count_at = 0.0
        self._open: deque[Submission] = deque()
        self.failed: list[str] = []
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Ask no more: what strikes has failed, and the state may not come back."""
        self._given_up.set()

    def step(self, kinds: tuple[ResourceKind, ...] = tuple(ResourceKind)) -> int:
        """Submit one batch, and wait while too many are open; how many it was."""
        self._go_on()
        makers = [maker for kind in kinds for maker in MAKERS[kind]]
        size = self._random.choice(self._batches)
        with self._journal.lock:
            batch = [
                self._random.choice(makers)(next(self._numbers), self._journal) for _ in range(size)
            ]
            self._journal.accepted += size
        # Submitted until it is accepted: a client that was told nothing asks again.
        self._open.extend(self._submit(batch))
        # Counting costs more than a submission: not after each.
        if time.monotonic() > self._count_at:
            while self._too_many():
                time.sleep(0.02)
        return size

    def finish(self) -> None:
        """Wait for all that was submitted."""
        while self._open:
            self._go_on()
            some = min(500, len(self._open))
            self._settle([self._open.popleft() for _ in range(some)])

    def _too_many(self) -> bool:
        self._count_at = time.monotonic() + 0.2
        try:
            return self._client.ledger.totals()["open"] > MAX_OPEN
        except StateUnavailable:
            self._go_on()
            return True

    def _go_on(self) -> None:
        if self._given_up.is_set():
            raise RuntimeError("the load was given up")

    def judge(self, verdict: Verdict) -> None:
        verdict.commands = self._journal.accepted
        verdict.failed = len(self.failed)
        for text in self.failed[:10]:
            verdict.note(text)

    def _submit(self, batch: list[Command]) -> list[Submission]:
        while True:
            try:
                return self._client.submit_many(batch)
            except StateUnavailable:
                self._go_on()

    def _settle(self, submissions: list[Submission]) -> None:
        for submission, end in zip(submissions, self._ends(submissions), strict=True):
            if end != Status.DONE:
                self.failed.append(f"{submission.command.summary()}: {end}")

    def _ends(self, submissions: list[Submission]) -> Iterator[str]:
        while True:
            try:
                outcomes = self._client.wait(submissions, LONG)
                break
            except StateUnavailable:
                self._go_on()
        for submission, outcome in zip(submissions, outcomes, strict=True):
            if outcome is None:
                yield "open" if submission.accepted else "refused"
            else:
                yield outcome.error.code if outcome.error else outcome.status
