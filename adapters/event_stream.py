"""Event streams for every backend: the operations, implemented with a driver's primitives.

Every method may raise PermissionDenied, Misconfigured, Throttled, Unavailable and
InsufficientStorage.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from signalbox.adapters.batch import UNBOUNDED, earliest, lapsed, only
from signalbox.adapters.failure import Reporter
from signalbox.adapters.name_list import list_names
from signalbox.adapters.port import Call
from signalbox.adapters.response_check import not_asked
from signalbox.adapters.row_query import PAGE_BYTES
from signalbox.adapters.stream_append import Numbering
from signalbox.adapters.stream_driver import Changed, StreamDriver
from signalbox.commands.error import Contended, SignalboxError
from signalbox.commands.event_stream import (
    AppendEvent,
    AppendResult,
    EventsResult,
    ListStreams,
    ListStreamsResult,
    ReadEvents,
    StoredEvent,
)

LOOKS = 8
"""Maximum number of attempts to append while other writers append too."""
PAUSE = 0.02
"""Maximum seconds before the second attempt; doubles with each."""

Item = tuple[AppendEvent, Call]
Answer = AppendResult | SignalboxError


class EventStream:
    """The streams of one tenant and env on one backend. Methods are thread-safe."""

    def __init__(self, driver: StreamDriver) -> None:
        self.driver = driver
        self._reporter = Reporter(driver.service, driver.scope)

    def append(self, command: AppendEvent, call: Call) -> AppendResult:
        """Append the event durably at the next version; readers never see a gap.

        An event whose id exists in the stream is not appended: the result has its version, and is a
        `duplicate` unless this command itself had appended it. Otherwise, if `expected_version` is
        not the stream's last version, raises PreconditionFailed. Raises TooLarge for an event over
        the backend's limit.
        """
        return only(self.append_many([(command, call)]))

    def append_many(self, items: Sequence[Item]) -> list[Answer]:
        """Append many events in few calls; return an answer for each.

        A stream may occur several times: its events are appended in the given order, and none after
        one that ended in a temporary error.
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
        """Return events with version > `after`, ascending and without a gap.

        At most `limit` events and about one mebibyte, but at least one event if there is any.
        """
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

    def list_streams(self, command: ListStreams, call: Call) -> ListStreamsResult:
        """Return one page of names, as `adapters/name_list.py` defines it.

        Raises InvalidCommand for a cursor of another list; ScanRefused, unless it says
        `allow_scan`, where the backend has no list of names.
        """
        with self._reporter.errors():
            names, cursor = list_names(self.driver, command, call)
        return ListStreamsResult(streams=names, next_cursor=cursor or None)

    def close(self) -> None:
        """Release the driver's resources; the store cannot be used afterwards."""
        self.driver.close()

    def _append(self, items: list[Item]) -> list[Answer]:
        if not items:
            return []
        try:
            with self._reporter.errors():
                return self._append_group(items)
        except SignalboxError as error:
            # What was refused in it does not count either.
            return [error] * len(items)

    def _append_group(self, items: list[Item]) -> list[Answer]:
        """Append all events, or none; return an answer for each, in order."""
        lease = earliest([call for _, call in items])
        wanted: dict[str, list[str]] = {}
        for command, _ in items:
            wanted.setdefault(command.stream, []).append(command.event_id)
        for look in range(LOOKS):
            try:
                with self.driver.session(lease) as session:
                    numbering = Numbering(session, wanted)
                    answers = [numbering.answer(command, call) for command, call in items]
                    if numbering.records:
                        session.append(numbering.records)
                return answers
            except Changed:
                # Random, since writers that collided would collide again if they returned at the
                # same time.
                pause = random.uniform(0, PAUSE * 2**look)
                time.sleep(min(pause, lease.remaining()))
        raise Contended(
            f"the stream grew under each of {LOOKS} looks", next_step="it is tried again"
        )

    def _groups(self, items: Sequence[Item]) -> Iterator[list[int]]:
        """Split the appends into sessions."""
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
