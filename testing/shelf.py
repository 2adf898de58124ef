"""What each kind's store offers to a hostile name: slots to put it in, and ways to look for it."""

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
"""In each slot a scope keeps something of its own under this name."""


@dataclass(frozen=True)
class Shelf:
    """One scope's store. `slot` says which of a command's names is meant."""

    desk: Any
    SLOTS: ClassVar[tuple[str, ...]] = ()

    @property
    def owner(self) -> str:
        return f"{self.desk.tenant}/{self.desk.env}"

    def keep(self, slot: str, name: str) -> None:
        """Write the owner there."""
        raise NotImplementedError

    def find(self, slot: str, name: str) -> list[str]:
        """The owners of what is there."""
        raise NotImplementedError

    def drop(self, slot: str, name: str) -> bool:
        """Remove it; False where the kind has no such command."""
        return False

    def listed(self) -> list[str]:
        """The owners of all that a list, a query or a read shows."""
        raise NotImplementedError

    def keep_own(self) -> None:
        for slot in self.SLOTS:
            self.keep(slot, SECRET)

    def own(self) -> list[list[str]]:
        """What is found where `keep_own` writes."""
        return [self.find(slot, SECRET) for slot in self.SLOTS]

    def all_own(self) -> list[list[str]]:
        """What `own` is as long as nobody else wrote there."""
        return [[self.owner]] * len(self.SLOTS)


class ObjectShelf(Shelf):
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
    """A point's owner is one of its labels, so that what another scope owns is seen as such."""

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
"""The desk and the shelf of each kind."""
