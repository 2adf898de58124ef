"""Looks for the effects in the backends themselves, past the ledger and the workers."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.event_stream import ReadEvents
from signalbox.commands.metrics_store import QueryPoints
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import GetObject, ListObjects
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.tabular_store import QueryRows
from signalbox.routing.route import Route
from tests.chaos.journal import Journal, Verdict
from tests.chaos.load import ENV, ORIGIN, PLACE, TENANT


class Auditor:
    """Reads what the routes lead to, through adapters of its own."""

    def __init__(self, routes: dict[ResourceKind, Route], payloads: Path) -> None:
        self._payloads = DirectoryPayloadStore(payloads)
        self._stores: dict[ResourceKind, Any] = {}
        for kind, route in routes.items():
            scope = Scope(kind=kind, tenant_id=TENANT, env=ENV)
            context = AdapterContext(scope=scope, mode=Mode.LAB, config=route.config)
            self._stores[kind] = find_backend(kind, route.backend_type).open(context)

    def judge(self, journal: Journal, verdict: Verdict) -> None:
        """Compare what is there with what must be."""
        self._objects(journal, verdict)
        self._rows(journal, verdict)
        self._points(journal, verdict)
        self._events(journal, verdict)

    def _objects(self, journal: Journal, verdict: Verdict) -> None:
        store = self._stores[ResourceKind.OBJECT_STORE]
        found: set[str] = set()
        cursor: str | None = None
        while True:
            command = ListObjects.model_validate(PLACE | {"cursor": cursor})
            page = store.list(command, self._call())
            found.update(info.key for info in page.objects)
            cursor = page.next_cursor
            if cursor is None:
                break
        for key in journal.objects.keys() - found:
            verdict.lost += 1
            verdict.note(f"no object {key}")
        for key, content in (journal.objects | journal.hot_objects).items():
            if key not in found:
                continue
            stream = store.get(GetObject.model_validate(PLACE | {"key": key}), self._call())
            with closing(stream.body) as body:
                there = body.read()
            if there != content:
                verdict.disordered += 1
                verdict.note(f"object {key} is {there!r}, not {content!r}")
        for key in journal.hot_objects.keys() - found:
            verdict.lost += 1
            verdict.note(f"no object {key}")
        for key in found - journal.objects.keys() - journal.hot_objects.keys():
            verdict.doubled += 1
            verdict.note(f"object {key} was never put")

    def _rows(self, journal: Journal, verdict: Verdict) -> None:
        once, hot = self._table("once"), self._table("hot")
        for key in journal.rows.keys() - once.keys():
            verdict.lost += 1
            verdict.note(f"no row {key}")
        for key, number in journal.hot_rows.items():
            if hot.get(key) != number:
                verdict.disordered += 1
                verdict.note(f"row {key} is {hot.get(key)}, not {number}")

    def _table(self, name: str) -> dict[str, int]:
        store = self._stores[ResourceKind.TABULAR_STORE]
        rows: dict[str, int] = {}
        cursor: str | None = None
        while True:
            query = {"table_name": name, "limit": 1000, "cursor": cursor}
            page = store.query(QueryRows.model_validate(PLACE | query), self._call())
            rows |= {row.key: row.data["n"] for row in page.rows}
            cursor = page.next_cursor
            if cursor is None:
                return rows

    def _points(self, journal: Journal, verdict: Verdict) -> None:
        store = self._stores[ResourceKind.METRICS_STORE]
        found: Counter[int] = Counter()
        cursor: str | None = None
        span = {"series": "chaos", "start": ORIGIN, "end": ORIGIN + timedelta(days=30)}
        while True:
            query = QueryPoints.model_validate(PLACE | span | {"limit": 5000, "cursor": cursor})
            page = store.query(query, self._call())
            for point in page.points:
                at = (point.timestamp - ORIGIN) // timedelta(microseconds=1)
                found[at] += 1
                if journal.points.get(at) != point.value:
                    verdict.disordered += 1
            cursor = page.next_cursor
            if cursor is None:
                break
        verdict.lost += len(journal.points.keys() - found.keys())
        verdict.doubled += sum(count - 1 for count in found.values())

    def _events(self, journal: Journal, verdict: Verdict) -> None:
        store = self._stores[ResourceKind.EVENT_STREAM]
        for stream, expected in journal.streams.items():
            found: list[int] = []
            after = 0
            while True:
                read = ReadEvents.model_validate(
                    PLACE | {"stream": stream, "after": after, "limit": 1000}
                )
                page = store.read(read, self._call())
                found += [event.data["n"] for event in page.events]
                after = page.next_after
                if not page.events:
                    break
            counts = Counter(found)
            missing = set(expected) - counts.keys()
            verdict.lost += len(missing)
            verdict.doubled += sum(count - 1 for count in counts.values())
            if not missing and found != expected and len(found) == len(expected):
                verdict.disordered += 1
                verdict.note(f"{stream} has another order than was accepted")

    def _call(self) -> Call:
        return Call(
            mark=new_op_id(),
            seq=1,
            takeover=False,
            deadline=lease_clock() + 60,
            payloads=self._payloads,
        )
