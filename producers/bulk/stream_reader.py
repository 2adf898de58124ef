"""Reading an event stream through the queue, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from signalbox.commands.event_stream import ReadEvents
from signalbox.producers.bulk.folder import Tenancy
from signalbox.producers.client.client import Client

MAX_PAGE = 1000


def events_behind(
    client: Client,
    tenancy: Tenancy,
    stream: str,
    after: int,
    limit: int | None,
    patience: timedelta,
) -> Iterator[dict[str, Any]]:
    """Yield events with a version above `after`, at most `limit`, up to the stream's current end.

    Raises RemoteError, OutcomePending, StateUnavailable.
    """
    left = limit
    while left is None or left > 0:
        most = MAX_PAGE if left is None else min(MAX_PAGE, left)
        command = ReadEvents(**tenancy.fields, stream=stream, after=after, limit=most)
        page = client.run_outcome(command, patience).unwrap()
        yield from page["events"]
        if not page["events"]:
            return
        after = page["next_after"]
        left = None if left is None else left - len(page["events"])


def end_of(client: Client, tenancy: Tenancy, stream: str, patience: timedelta) -> int:
    """The stream's last version, found in few reads since versions have no gaps."""

    def is_behind(version: int) -> bool:
        command = ReadEvents(**tenancy.fields, stream=stream, after=version, limit=1)
        return bool(client.run(command, patience).events)

    if not is_behind(0):
        return 0
    there, end = 0, 1
    while is_behind(end):
        there, end = end, end * 2
    # An event stands behind `there`, none behind `end`.
    while end - there > 1:
        middle = (there + end) // 2
        there, end = (middle, end) if is_behind(middle) else (there, middle)
    return end
