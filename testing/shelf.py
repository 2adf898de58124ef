"""Tries hostile names in every slot of a store's commands, such as table and row key."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from signalbox.commands.error import NotFound
from signalbox.commands.metrics_store import Point
from signalbox.commands.scope import ResourceKind
from signalbox.testing.desk import Desk
from signalbox.testing.metrics_desk import DAY, MetricsDesk
from signalbox.testing.stream_desk import StreamDesk
from signalbox.testing.table_desk import TableDesk

SECRET: Final = "secret"
"""The name under which a scope stores something of its own in each slot."""


@dataclass(frozen=True)
class Shelf:
    """The store of one scope. A `slot` is one of the names that its commands have."""

    desk: Any
    """The desk of the store."""
    SLOTS: ClassVar[tuple[str, ...]] = ()
    """The slots of the kind."""

    @property
    def owner(self) -> str:
        """Tenant and env, which everything stored here contains."""
        return f"{self.desk.tenant}/{self.desk.env}"

    def keep(self, slot: str, name: str) -> None:
        """Store the owner under a name."""
        raise NotImplementedError

    def find(self, slot: str, name: str) -> list[str]:
        """Return the owners of what is found under a name."""
        raise NotImplementedError

    def drop(self, slot: str, name: str) -> bool:
        """Remove it; return False if the kind has no such command."""
        return False

    def listed(self) -> list[str]:
        """Return the owners of everything that a list, query or read returns."""
        raise NotImplementedError

    def keep_own(self) -> None:
        """Store the owner under SECRET in each slot."""
        for slot in self.SLOTS:
            self.keep(slot, SECRET)

    def own(self) -> list[list[str]]:
        """Return what is found under SECRET in each slot."""
        return [self.find(slot, SECRET) for slot in self.SLOTS]

    def all_own(self) -> list[list[str]]:
        """Return what `own` must return if nobody else has written there."""
        return [[self.owner]] * len(self.SLOTS)


class ObjectShelf(Shelf):
    """A shelf of objects."""

    desk: Desk
    SLOTS = ("key",)

    def keep(self, slot: str, name: str) -> None:
        self.desk.put(name, self.owner.encode())

    def find(self, slot: str, name: str) -> list[str]:
        with suppress(NotFound):
            return [self.desk.read(name).decode()]
        return []

    def drop(self, slot: str, name: str) -> bool:
        self.desk.delete(name)
        return True

    def listed(self) -> list[str]:
        return [self.desk.read(key).decode() for key in self.desk.keys()]  # noqa: SIM118


class TableShelf(Shelf):
    """A shelf of rows."""

    desk: TableDesk
    SLOTS = ("table", "row key")

    def keep(self, slot: str, name: str) -> None:
        table, key = (name, SECRET) if slot == "table" else ("people", name)
        self.desk.upsert(key, {"of": self.owner}, table=table)

    def find(self, slot: str, name: str) -> list[str]:
        if slot == "table":
            return [row.data["of"] for row in self.desk.rows(table=name)]
        with suppress(NotFound):
            return [self.desk.data(name)["of"]]
        return []

    def drop(self, slot: str, name: str) -> bool:
        table, key = (name, SECRET) if slot == "table" else ("people", name)
        self.desk.delete(key, table=table)
        return True

    def listed(self) -> list[str]:
        return [row.data["of"] for row in self.desk.rows()]


class MetricsShelf(Shelf):
    """A shelf of points. The owner is a label, so that points of another scope are recognised."""

    desk: MetricsDesk
    SLOTS = ("series", "label name", "label value")

    def _query(self, slot: str, name: str) -> dict[str, Any]:
        if slot == "series":
            return {"series": name}
        return {"labels": {name: "there"} if slot == "label name" else {"host": name}}

    def keep(self, slot: str, name: str) -> None:
        query = {"series": "cpu", "labels": {}} | self._query(slot, name)
        query["labels"] = {"owner": self.owner} | query["labels"]
        self.desk.ingest(Point(timestamp=DAY, value=1, **query))

    def find(self, slot: str, name: str) -> list[str]:
        return [found.labels["owner"] for found in self.desk.points(**self._query(slot, name))]

    def listed(self) -> list[str]:
        return [found.labels["owner"] for found in self.desk.points()]


class StreamShelf(Shelf):
    """A shelf of events."""

    desk: StreamDesk
    SLOTS = ("stream", "event id")

    def keep(self, slot: str, name: str) -> None:
        stream, event_id = (name, None) if slot == "stream" else ("orders", name)
        result = self.desk.append({"of": self.owner}, stream=stream, id=event_id)
        assert not result.duplicate, name

    def find(self, slot: str, name: str) -> list[str]:
        if slot == "stream":
            return [event.data["of"] for event in self.desk.events(name)]
        return [event.data["of"] for event in self.desk.events() if event.id == name]

    def listed(self) -> list[str]:
        return [event.data["of"] for event in self.desk.events()]


SHELVES: dict[ResourceKind, tuple[type[Any], type[Shelf]]] = {
    ResourceKind.OBJECT_STORE: (Desk, ObjectShelf),
    ResourceKind.TABULAR_STORE: (TableDesk, TableShelf),
    ResourceKind.METRICS_STORE: (MetricsDesk, MetricsShelf),
    ResourceKind.EVENT_STREAM: (StreamDesk, StreamShelf),
}
"""Desk and shelf of each kind."""
