"""Decides which events of a session are appended, and numbers them, based on one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from signalbox.adapters.port import Call
from signalbox.adapters.stored import damaged
from signalbox.adapters.stream_driver import NewEvent, StreamSession
from signalbox.commands.error import PreconditionFailed, SignalboxError
from signalbox.commands.event_stream import AppendEvent, AppendResult


class Numbering:
    """The appends of one session, each based on the ones before it."""

    def __init__(self, session: StreamSession, wanted: Mapping[str, Sequence[str]]) -> None:
        self._session = session
        self._now = datetime.now(UTC)
        self._ends = session.look(wanted)
        self._stopped: dict[str, SignalboxError] = {}
        self.records: list[Any] = []
        """Records of the events to be appended."""

    def answer(self, command: AppendEvent, call: Call) -> AppendResult | SignalboxError:
        """Decide one append; return its answer, which is valid once the session has appended.

        After a temporary error, no other event of the stream is appended.
        """
        if self._stopped and (error := self._stopped.get(command.stream)) is not None:
            return error
        try:
            return self._number(command, call)
        except SignalboxError as error:
            if error.temporary:
                self._stopped[command.stream] = error
            return error

    def _number(self, command: AppendEvent, call: Call) -> AppendResult:
        end, event_id = self._ends[command.stream], command.event_id
        if type(end.version) is not int:
            raise damaged("a stream", TypeError())
        if event_id in end.events:
            version, writer = end.events[event_id]
            return _result(command, version, duplicate=writer != call.mark)
        if command.expected_version not in (None, end.version):
            raise PreconditionFailed(
                f"the stream ends at version {end.version}, "
                f"expected_version demands {command.expected_version}",
                next_step="read on and decide anew",
            )
        call.remaining()
        version = end.version + 1
        event = NewEvent(command.stream, version, event_id, command.event, call.mark, self._now)
        self.records.append(self._session.record(event))
        end.version = version
        end.events[event_id] = (version, call.mark)
        return _result(command, version, duplicate=False)


def _result(command: AppendEvent, version: int, *, duplicate: bool) -> AppendResult:
    return AppendResult(
        stream=command.stream, event_id=command.event_id, version=version, duplicate=duplicate
    )
