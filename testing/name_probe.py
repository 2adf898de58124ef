"""Tries hostile names in every slot of a store's commands, such as table and row key."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from signalbox.commands.error import NotFound
from signalbox.commands.metrics_store import Point
from signalbox.commands.scope import ResourceKind
from signalbox.testing.metrics_caller import DAY, MetricsCaller
from signalbox.testing.object_caller import ObjectCaller
from signalbox.testing.stream_caller import StreamCaller
from signalbox.testing.table_caller import TableCaller

SECRET: Final = "secret"
"""The name under which a scope stores something of its own in each slot."""


@dataclass(frozen=True)
class NameProbe:
    """The store of one scope. A `slot` is one of the names that its commands have."""

    caller: Any
    """The caller of the store."""
    SLOTS: ClassVar[tuple[str, ...]] = ()
    """The slots of the kind."""

    @property
    def owner(self) -> str:
        """Tenant and env, which everything stored here contains."""
        return f"{self.caller.tenant}/{self.caller.env}"

    def keep(self, slot: str, name: str) -> None:
        """Store the owner under a name."""
        raise NotImplementedError

    def find(self, slot: str, name: str) -> list[str]:
        """Return the owners of what is found under a name."""
        raise NotImplementedError

    def find_all(self, slot: str, names: Sequence[str]) -> dict[str, list[str]]:
        """Return the owners of what is found under each of the names."""
        return {name: self.find(slot, name) for name in names}

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


class ObjectNameProbe(NameProbe):
    """A probe of objects."""

    caller: ObjectCaller
    SLOTS = ("key",)

    def keep(self, slot: str, name: str) -> None:
        self.caller.put(name, self.owner.encode())

    def find(self, slot: str, name: str) -> list[str]:
        with suppress(NotFound):
            return [self.caller.read(name).decode()]
        return []

    def drop(self, slot: str, name: str) -> bool:
        self.caller.delete(name)
        return True

    def listed(self) -> list[str]:
        return [self.caller.read(key).decode() for key in self.caller.keys()]  # noqa: SIM118


class TableNameProbe(NameProbe):
    """A probe of rows."""

    caller: TableCaller
    SLOTS = ("table", "row key")

    def keep(self, slot: str, name: str) -> None:
        table, key = (name, SECRET) if slot == "table" else ("people", name)
        self.caller.upsert(key, {"of": self.owner}, table=table)

    def find(self, slot: str, name: str) -> list[str]:
        if slot == "table":
            return [row.data["of"] for row in self.caller.rows(table=name)]
        with suppress(NotFound):
            return [self.caller.data(name)["of"]]
        return []

    def drop(self, slot: str, name: str) -> bool:
        table, key = (name, SECRET) if slot == "table" else ("people", name)
        self.caller.delete(key, table=table)
        return True

    def listed(self) -> list[str]:
        return [row.data["of"] for row in self.caller.rows()]


class MetricsNameProbe(NameProbe):
    """A probe of points. The owner is a label, so that points of another scope are recognised."""

    caller: MetricsCaller
    SLOTS = ("series", "label name", "label value")

    def _query(self, slot: str, name: str) -> dict[str, Any]:
        if slot == "series":
            return {"series": name}
        return {"labels": {name: "there"} if slot == "label name" else {"host": name}}

    def keep(self, slot: str, name: str) -> None:
        query = {"series": "cpu", "labels": {}} | self._query(slot, name)
        query["labels"] = {"owner": self.owner} | query["labels"]
        self.caller.ingest(Point(timestamp=DAY, value=1, **query))

    def find(self, slot: str, name: str) -> list[str]:
        return [found.labels["owner"] for found in self.caller.points(**self._query(slot, name))]

    def listed(self) -> list[str]:
        return [found.labels["owner"] for found in self.caller.points()]


class StreamNameProbe(NameProbe):
    """A probe of events."""

    caller: StreamCaller
    SLOTS = ("stream", "event id")

    def keep(self, slot: str, name: str) -> None:
        stream, event_id = (name, None) if slot == "stream" else ("orders", name)
        result = self.caller.append({"of": self.owner}, stream=stream, id=event_id)
        assert not result.duplicate, name

    def find(self, slot: str, name: str) -> list[str]:
        if slot == "stream":
            return [event.data["of"] for event in self.caller.events(name)]
        return self.find_all(slot, [name])[name]

    def find_all(self, slot: str, names: Sequence[str]) -> dict[str, list[str]]:
        if slot == "stream":
            return super().find_all(slot, names)
        events = self.caller.events()
        return {name: [e.data["of"] for e in events if e.id == name] for name in names}

    def listed(self) -> list[str]:
        return [event.data["of"] for event in self.caller.events()]


NAME_PROBES: dict[ResourceKind, tuple[type[Any], type[NameProbe]]] = {
    ResourceKind.OBJECT_STORE: (ObjectCaller, ObjectNameProbe),
    ResourceKind.TABULAR_STORE: (TableCaller, TableNameProbe),
    ResourceKind.METRICS_STORE: (MetricsCaller, MetricsNameProbe),
    ResourceKind.EVENT_STREAM: (StreamCaller, StreamNameProbe),
}
"""ObjectCaller and probe of each kind."""
