"""The archive of StreamEvents: a stream of the tenant `t_system` that keeps the whole route log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from signalbox.commands.event_stream import (
    AppendEvent,
    Event,
    ReadEvents,
    StoredEvent,
)
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.producers.client.client import Client
from signalbox.routing.registry.event import StreamEvent

ARCHIVE_SCOPE = Scope(kind=ResourceKind.EVENT_STREAM, tenant_id="t_system", env="prod")
"""Scope of the archive, whose route says where it is stored."""
ARCHIVE_STREAM = "signalbox.route-events"
"""Name of the archive's stream."""
_WAIT = timedelta(seconds=30)


def archiving(events: Sequence[StreamEvent], mode: Mode) -> list[AppendEvent]:
    """Return the commands that append these events to the archive.

    An event's id in the archive is its hash: appending it twice has no effect, and after a failover
    that lost data two events with the same revision are both kept.
    """
    return [
        AppendEvent(
            tenant_id=ARCHIVE_SCOPE.tenant_id,
            env=ARCHIVE_SCOPE.env,
            mode=mode,
            stream=ARCHIVE_STREAM,
            event=Event(
                id=event.hash,
                type=event.type,
                time=event.time,
                # As text, since the hash covers exactly this JSON, including how floats are
                # written.
                data={
                    "revision": event.revision,
                    "subject": event.subject,
                    "event": event.model_dump_json(),
                },
            ),
        )
        for event in events
    ]


def archived_events(
    client: Client, foreign: Callable[[int], None], after: int = 0
) -> Iterator[StreamEvent]:
    """Yield the archived events after the archive's version `after`, in order, through the queue.

    `foreign` is called with the version of each entry that is not a StreamEvent, which somebody
    else has written. Raises the error of a read, such as ROUTE_NOT_FOUND, and OutcomePending.
    """
    while True:
        command = ReadEvents(
            tenant_id=ARCHIVE_SCOPE.tenant_id,
            env=ARCHIVE_SCOPE.env,
            stream=ARCHIVE_STREAM,
            after=after,
            limit=500,
        )
        page = client.run(command, _WAIT)
        for stored in page.events:
            event = _event_of(stored)
            if event is None:
                foreign(stored.version)
            else:
                yield event
        if not page.events:
            return
        after = page.next_after


def _event_of(stored: StoredEvent) -> StreamEvent | None:
    """Return the archived event; None if the archiver cannot have written the entry.

    The archiver uses the event's hash as the id. Whether the hash is right and the event follows
    the previous one is checked by `Chain`.
    """
    text = stored.data.get("event")
    try:
        event = StreamEvent.model_validate_json(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return event if event is not None and event.hash == stored.id else None
