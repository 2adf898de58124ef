"""Puts, deletes and appends of three tenants, and how each of them ended."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from signalbox.commands.error import StateUnavailable
from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.model import Command
from signalbox.commands.object_store import Condition, DeleteObject, PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import Scope
from signalbox.producers.client.client import Client
from signalbox.producers.client.submission import Submission
from tests.chaos.load import BATCHES, ENV, LONG

TENANTS = ("t_one", "t_two", "t_three")
MAX_OPEN = 1500
HOT_KEYS = 16
STREAMS = tuple(f"stream-{number}" for number in range(6))


@dataclass(frozen=True)
class Ended:
    """An accepted command that is done, and where its outcome says that it took effect."""

    scope: Scope
    name: str
    """The object's key, or the stream."""
    value: str | None
    """What it wrote; None of a delete."""
    seq: int
    attempt: int
    revision: int
    claimed_at: datetime


class MixedLoad:
    """Submits batches of all three tenants until it is told to stop, then waits for the rest.

    A number is written once, so that whatever is found names the command that wrote it."""

    def __init__(self, client: Client, seed: int) -> None:
        self._client = client
        self._random = random.Random(seed)
        self._number = 0
        self._open: deque[tuple[Submission, str, str | None]] = deque()
        self.ended: list[Ended] = []
        self.failed: list[str] = []

    def run(self, enough: threading.Event, least: int, pause: float) -> None:
        """Until `enough`, and for `least` commands, with seconds of `pause` between batches."""
        while not enough.is_set() or self._number < least:
            batch = [self._command() for _ in range(self._random.choice(BATCHES))]
            submissions = self._submit([command for command, _, _ in batch])
            for submission, (_, name, value) in zip(submissions, batch, strict=True):
                self._open.append((submission, name, value))
            while len(self._open) > MAX_OPEN:
                self._settle(500)
            time.sleep(pause)
        while self._open:
            self._settle(500)

    @property
    def commands(self) -> int:
        return self._number

    def _command(self) -> tuple[Command, str, str | None]:
        self._number += 1
        number = str(self._number)
        place = {"tenant_id": self._random.choice(TENANTS), "env": ENV}
        kind = self._random.randrange(10)
        if kind < 3:
            stream = self._random.choice(STREAMS)
            fields = {"stream": stream, "event": Event(type="chaos", data={"n": number})}
            return AppendEvent.model_validate(place | fields), stream, number
        if kind < 7:
            key = f"once/{number}"
            # A second creation would be refused, and end as a failed command.
            fields = {"condition": Condition(if_absent=True)}
        else:
            key = f"hot/{self._random.randrange(HOT_KEYS)}"
            if kind == 7:
                return DeleteObject.model_validate(place | {"key": key}), key, None
            fields = {}
        payload = InlinePayload(data=number.encode())
        return (
            PutObject.model_validate(place | fields | {"key": key, "payload": payload}),
            key,
            number,
        )

    def _submit(self, batch: list[Command]) -> list[Submission]:
        while True:
            try:
                return self._client.submit_many(batch)
            except StateUnavailable:
                time.sleep(0.05)  # told nothing, it asks again under the same op_ids

    def _settle(self, limit: int) -> None:
        some = [self._open.popleft() for _ in range(min(limit, len(self._open)))]
        outcomes = self._outcomes([submission for submission, _, _ in some])
        for (submission, name, value), outcome in zip(some, outcomes, strict=True):
            command = submission.command
            if outcome is None or outcome.error or outcome.route_revision is None:
                end = "no outcome" if outcome is None else outcome.model_dump_json()
                self.failed.append(f"{command.summary()}: {end}")
                continue
            self.ended.append(
                Ended(
                    command.scope,
                    name,
                    value,
                    outcome.seq,
                    outcome.attempt,
                    outcome.route_revision,
                    outcome.claimed_at,
                )
            )

    def _outcomes(self, submissions: list[Submission]) -> list[Outcome | None]:
        while True:
            try:
                return self._client.wait(submissions, LONG)
            except StateUnavailable:
                time.sleep(0.05)
