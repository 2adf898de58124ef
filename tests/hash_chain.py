"""The hash chain of the route log, checked in the simplest way."""

from __future__ import annotations

from collections.abc import Iterable

from signalbox.routing.registry.event import StreamEvent


def first_broken(events: Iterable[StreamEvent]) -> StreamEvent | None:
    """Return the first event with a wrong hash or that does not follow its predecessor, else None.

    What precedes the first of `events` is not checked.
    """
    before: StreamEvent | None = None
    for event in events:
        if event.hash != event.digest():
            return event
        if before is not None and (
            event.prev != before.hash or event.revision != before.revision + 1
        ):
            return event
        before = event
    return None
