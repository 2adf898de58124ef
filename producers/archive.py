"""The archive of StreamEvents: one stream of `t_system`, in which all of them stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta

from commands.event_stream import AppendEvent, Event, EventsResult, ReadEvents
from commands.scope import Mode, ResourceKind, Scope
from producers.client import Client
from routing.event import StreamEvent

ARCHIVE_SCOPE = Scope(kind=ResourceKind.EVENT_STREAM, tenant_id="t_system", env="prod")
"""Whose route the archive is written to."""
ARCHIVE_STREAM = "signalbox.route-events"
_WAIT = timedelta(seconds=30)


def archiving(events: Sequence[StreamEvent], mode: Mode) -> list[AppendEvent]:
    """The commands that archive these events.

    An event's id in the archive is its hash: the same event twice has no effect, and after a
    lost failover two events of one revision are both kept.
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
                # As text: its hash is over just these characters' meaning, floats included.
                data={
                    "revision": event.revision,
                    "subject": event.subject,
                    "event": event.model_dump_json(),
                },
            ),
        )
        for event in events
    ]


def archived_events(client: Client, after: int = 0) -> Iterator[StreamEvent]:
    """All archived events behind a version of the archive, in order, read through the queue.

    Raises what a read of that route ends in, such as ROUTE_NOT_FOUND, and OutcomePending.
    """
    while True:
        command = ReadEvents(
            tenant_id=ARCHIVE_SCOPE.tenant_id,
            env=ARCHIVE_SCOPE.env,
            stream=ARCHIVE_STREAM,
            after=after,
            limit=500,
        )
        page = EventsResult.model_validate_json(json.dumps(client.run(command, _WAIT).unwrap()))
        for stored in page.events:
            yield StreamEvent.model_validate_json(stored.data["event"])
        if not page.events:
            return
        after = page.next_after
