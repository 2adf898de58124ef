"""Where three tenants' objects and events may be, and what the registry says of it."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.event_stream import ReadEvents
from signalbox.commands.object_store import GetObject, ListObjects
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from tests.chaos.mixed_load import STREAMS

Found = dict[str, list[str]]
"""What stands under each name: the content of an object, the numbers of a stream in order."""


@dataclass(frozen=True)
class Place:
    """A backend and its config, under a name of the campaign's."""

    name: str
    backend_type: str
    config: RouteConfig


@dataclass(frozen=True)
class Pointed:
    """From when on a scope's route led to a place."""

    at: datetime
    revision: int
    place: str


class History:
    """Which place each revision of one scope's route led to."""

    def __init__(self, pointed: Sequence[Pointed]) -> None:
        self._pointed = pointed
        self._times = [each.at for each in pointed]
        self._places = {each.revision: each.place for each in pointed}

    def __len__(self) -> int:
        return len(self._pointed)

    def place(self, revision: int) -> str | None:
        """None: no such revision of this scope."""
        return self._places.get(revision)

    def revision_at(self, moment: datetime) -> int:
        """Of the newest change that was committed by then, by the state Redis' clock."""
        return self._pointed[bisect.bisect_right(self._times, moment) - 1].revision

    def led_to(self, place: str, since: datetime, until: datetime) -> bool:
        """Whether the route led there at any moment between."""
        first = max(0, bisect.bisect_right(self._times, since) - 1)
        last = bisect.bisect_right(self._times, until)
        return any(each.place == place for each in self._pointed[first:last])


class Places:
    """Two or more places a kind; a scope's route leads to one, and `switch` turns to the next."""

    def __init__(
        self, registry: Registry, by_kind: dict[ResourceKind, list[Place]], scopes: list[Scope]
    ) -> None:
        self._registry = registry
        self.by_kind = by_kind
        self.scopes = scopes
        self._turn = dict.fromkeys(scopes, 0)
        for scope in scopes:
            self._point(scope, by_kind[scope.kind][0], f"first-{scope.field}", first=True)

    def switch(self, scope: Scope, change_id: str) -> None:
        """Raises StateUnavailable; asked again under the same id it has one effect."""
        places = self.by_kind[scope.kind]
        turn = (self._turn[scope] + 1) % len(places)
        self._point(scope, places[turn], change_id)
        self._turn[scope] = turn

    def histories(self) -> dict[Scope, History]:
        """From the registry's own log."""
        events = self._registry.events(0, limit=100_000)
        return {scope: History(list(self._of(scope, events))) for scope in self.scopes}

    def _of(self, scope: Scope, events: list[StreamEvent]) -> Iterator[Pointed]:
        for event in events:
            after = event.data.after
            if event.subject != scope.field or after is None or event.data.error:
                continue
            assert event.committed_at is not None
            [name] = [
                place.name
                for place in self.by_kind[scope.kind]
                if (place.backend_type, place.config) == (after["backend_type"], after["config"])
            ]
            yield Pointed(event.committed_at, event.revision, name)

    def _point(self, scope: Scope, place: Place, change_id: str, *, first: bool = False) -> None:
        change = self._registry.set if first else self._registry.switch
        change(
            scope,
            RouteTarget(place.backend_type, place.config, Mode.LAB),
            Change(actor="chaos", reason="chaos", change_id=change_id),
        )


def look(scope: Scope, place: Place, payloads: Path) -> Found:
    """What the place holds of the scope: read past the ledger, by an adapter of its own."""
    context = AdapterContext(scope=scope, mode=Mode.LAB, config=place.config)
    store = find_backend(scope.kind, place.backend_type).open(context)
    call = Call("look", 1, False, float("inf"), DirectoryPayloadStore(payloads))
    whose = {"tenant_id": scope.tenant_id, "env": scope.env}
    if scope.kind is ResourceKind.OBJECT_STORE:
        return {
            key: [_content(store, call, whose | {"key": key})] for key in _keys(store, call, whose)
        }
    return {stream: _numbers(store, call, whose | {"stream": stream}) for stream in STREAMS}


def _keys(store: Any, call: Call, whose: dict[str, Any]) -> Iterator[str]:
    cursor: str | None = None
    while True:
        page = store.list(ListObjects.model_validate(whose | {"cursor": cursor}), call)
        yield from (info.key for info in page.objects)
        cursor = page.next_cursor
        if cursor is None:
            return


def _content(store: Any, call: Call, where: dict[str, Any]) -> str:
    with closing(store.get(GetObject.model_validate(where), call).body) as body:
        return str(body.read().decode())


def _numbers(store: Any, call: Call, where: dict[str, Any]) -> list[str]:
    numbers: list[str] = []
    after = 0
    while True:
        read = ReadEvents.model_validate(where | {"after": after, "limit": 1000})
        page = store.read(read, call)
        if not page.events:
            return numbers
        numbers += [event.data["n"] for event in page.events]
        after = page.next_after
