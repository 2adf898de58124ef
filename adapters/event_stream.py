"""The port of event streams: what a backend of this kind implements.

Every method may raise PermissionDenied, Misconfigured, Throttled, Unavailable and
InsufficientStorage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adapters.port import Call
from commands.error import SignalboxError
from commands.event_stream import AppendEvent, AppendResult, EventsResult, ReadEvents


class EventStream(Protocol):
    """One tenant's streams in one environment on one backend. Methods are thread-safe."""

    def append(self, command: AppendEvent, call: Call) -> AppendResult:
        """Add the event durably at the next version, so that no reader ever sees a gap.

        An event whose id the stream holds is not added: the answer names its version. It is a
        `duplicate` unless this command itself had added it. Only then is `expected_version`
        asked: PreconditionFailed. Raises TooLarge where the event is over what the backend takes.
        """

    def append_many(
        self, items: Sequence[tuple[AppendEvent, Call]]
    ) -> list[AppendResult | SignalboxError]:
        """Many appends in few calls, an answer for each. A stream may come many times: its
        events are added in the order given, and none behind one that ended in a temporary error.
        """

    def read(self, command: ReadEvents, call: Call) -> EventsResult:
        """Events behind `after`, in order and without a gap; at most `limit` and about a
        mebibyte, but one event at least where any is left."""

    def close(self) -> None:
        """Give back what the adapter holds; it is not used again."""
