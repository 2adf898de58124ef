"""Reads an event stream through the queue, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from signalbox.commands.event_stream import ReadEvents
from signalbox.producers.bulk.folder import Tenancy
from signalbox.producers.client.client import Client

MAX_PAGE = 1000
"""Maximum number of events in one read."""


def events_after(
    client: Client,
    tenancy: Tenancy,
    stream: str,
    after: int,
    limit: int | None,
    timeout: timedelta,
) -> Iterator[dict[str, Any]]:
    """Yield the events with version > `after` up to the stream's current end, or `limit` of them.

    They are yielded as documents, in ascending order. Raises RemoteError, OutcomePending and
    StateUnavailable.
    """
    left = limit
    while left is None or left > 0:
        page_size = MAX_PAGE if left is None else min(MAX_PAGE, left)
        command = ReadEvents(**tenancy.fields, stream=stream, after=after, limit=page_size)
        page = client.run_outcome(command, timeout).unwrap()
        yield from page["events"]
        if not page["events"]:
            return
        after = page["next_after"]
        left = None if left is None else left - len(page["events"])


def end_of(client: Client, tenancy: Tenancy, stream: str, timeout: timedelta) -> int:
    """Return the stream's last version, 0 if it is empty.

    It is found by bisection in few reads, since versions have no gaps.
    """

    def has_events_after(version: int) -> bool:
        command = ReadEvents(**tenancy.fields, stream=stream, after=version, limit=1)
        return bool(client.run(command, timeout).events)

    if not has_events_after(0):
        return 0
    below, end = 0, 1
    while has_events_after(end):
        below, end = end, end * 2
    # There is an event after version `below`, and none after `end`.
    while end - below > 1:
        middle = (below + end) // 2
        below, end = (middle, end) if has_events_after(middle) else (below, middle)
    return end
