"""The archive of StreamEvents: one stream of `t_system`, in which all of them stand."""

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


def archived_events(
    client: Client, foreign: Callable[[int], None], after: int = 0
) -> Iterator[StreamEvent]:
    """All archived events behind a version of the archive, in order, read through the queue.

    `foreign` is told the version of what is no event of a registry: somebody else has written it.

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
    """The archived event, if the archiver can have written it: its id in the archive is its hash.

    Whether it is what its hash says, and follows the one before, is for `Chain` to find.
    """
    text = stored.data.get("event")
    try:
        event = StreamEvent.model_validate_json(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return event if event is not None and event.hash == stored.id else None
