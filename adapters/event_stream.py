"""Event streams, for every backend: the operations, made of a driver's primitives.

Every method may raise PermissionDenied, Misconfigured, Throttled, Unavailable and
InsufficientStorage.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from signalbox.adapters.answer import not_asked
from signalbox.adapters.batch import UNBOUNDED, earliest, lapsed, only
from signalbox.adapters.failure import Reporter
from signalbox.adapters.port import Call
from signalbox.adapters.row_query import PAGE_BYTES
from signalbox.adapters.stream_append import Numbering
from signalbox.adapters.stream_driver import Changed, StreamDriver
from signalbox.commands.error import Contended, SignalboxError
from signalbox.commands.event_stream import (
    AppendEvent,
    AppendResult,
    EventsResult,
    ReadEvents,
    StoredEvent,
)

LOOKS = 8
PAUSE = 0.02
"""Seconds at most before the second look; doubles with each."""

Item = tuple[AppendEvent, Call]
Answer = AppendResult | SignalboxError


class EventStream:
    """One tenant's streams in one environment on one backend. Methods are thread-safe."""

    def __init__(self, driver: StreamDriver) -> None:
        self.driver = driver
        self._reporter = Reporter(driver.service, driver.scope)

    def append(self, command: AppendEvent, call: Call) -> AppendResult:
        """Add the event durably at the next version, so that no reader ever sees a gap.

        An event whose id the stream holds is not added: the answer names its version. It is a
        `duplicate` unless this command itself had added it. Only then is `expected_version`
        asked: PreconditionFailed. Raises TooLarge where the event is over what the backend takes.
        """
        return only(self.append_many([(command, call)]))

    def append_many(self, items: Sequence[Item]) -> list[Answer]:
        """Many appends in few calls, an answer for each. A stream may come many times: its
        events are added in the order given, and none behind one that ended in a temporary error.
        """
        answers: dict[int, Answer] = {}
        stopped: dict[str, SignalboxError] = {}
        for group in self._groups(items):
            part: list[int] = []
            for number in group:
                command, call = items[number]
                error = stopped.get(command.stream) or lapsed(call)
                if error is None:
                    part.append(number)
                else:
                    stopped[command.stream] = answers[number] = self._reporter.located(error)
            given = self._append([items[number] for number in part])
            for number, answer in zip(part, given, strict=True):
                answers[number] = answer
                if isinstance(answer, SignalboxError):
                    self._reporter.located(answer)
                    if answer.temporary:
                        stopped[items[number][0].stream] = answer
        return [answers[number] for number in range(len(items))]

    def read(self, command: ReadEvents, call: Call) -> EventsResult:
        """Events with a version above `after`, in order and without a gap; at most `limit` and
        about a mebibyte, but one event at least where any is left."""
        events: list[StoredEvent] = []
        size, last = 0, command.after
        with (
            self._reporter.errors(),
            self.driver.read(command.stream, command.after, command.limit, call) as found,
        ):
            for event, length in found:
                if event.version != last + 1:
                    if self.driver.traits.whole_reads:
                        raise not_asked("an event that is not the next")
                    break
                events.append(event)
                last += 1
                size += length
                if len(events) == command.limit or size > PAGE_BYTES:
                    break
        return EventsResult(stream=command.stream, events=events, next_after=last)

    def close(self) -> None:
        """Give back what the store holds; it is not used again."""
        self.driver.close()

    def _append(self, items: list[Item]) -> list[Answer]:
        if not items:
            return []
        try:
            with self._reporter.errors():
                return self._append_group(items)
        except SignalboxError as error:
            # What was refused in it counts no more either.
            return [error] * len(items)

    def _append_group(self, items: list[Item]) -> list[Answer]:
        """An answer for each, in order; all are added, or none."""
        lease = earliest([call for _, call in items])
        wanted: dict[str, list[str]] = {}
        for command, _ in items:
            wanted.setdefault(command.stream, []).append(command.event_id)
        for look in range(LOOKS):
            try:
                with self.driver.turn(lease) as turn:
                    numbering = Numbering(turn, wanted)
                    answers = [numbering.answer(command, call) for command, call in items]
                    if numbering.records:
                        turn.append(numbering.records)
                return answers
            except Changed:
                # Writers that met once would meet again, if they came back in step.
                pause = random.uniform(0, PAUSE * 2**look)
                time.sleep(min(pause, lease.remaining()))
        raise Contended(
            f"the stream grew under each of {LOOKS} looks", next_step="it is tried again"
        )

    def _groups(self, items: Sequence[Item]) -> Iterator[list[int]]:
        """Cut a row of appends into turns."""
        traits = self.driver.traits
        if traits.request is UNBOUNDED:
            yield list(range(len(items)))
            return
        group: list[int] = []
        streams: set[str] = set()
        size = 0
        for number, (command, _) in enumerate(items):
            more = traits.room(command.size)
            records = traits.event_records * (len(group) + 1)
            records += traits.stream_records * len(streams | {command.stream})
            if group and (records > traits.request.records or size + more > traits.request.bytes):
                yield group
                group, streams, size = [], set(), 0
            group.append(number)
            streams.add(command.stream)
            size += more
        if group:
            yield group
