"""A bucket or folder that cannot be used: every verb reports it, with a next step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from signalbox.adapters.catalogue import Backend
from signalbox.commands.error import Misconfigured, PermissionDenied, SignalboxError, Unavailable
from signalbox.commands.event_stream import ListStreams
from signalbox.commands.metrics_store import ListSeries
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import ListTables
from signalbox.testing.harness import Harness
from signalbox.testing.metrics_caller import MetricsCaller, point
from signalbox.testing.store_caller import OpenAt
from signalbox.testing.stream_caller import StreamCaller
from signalbox.testing.table_caller import TableCaller


def one_of(answers: list[Any]) -> None:
    """Raise the error that each of a bulk call's answers is."""
    assert len(answers) == 2
    for answer in answers:
        assert isinstance(answer, SignalboxError)
    raise answers[0]


TABLE: dict[str, Callable[[TableCaller], object]] = {
    "upsert": lambda caller: caller.upsert("a"),
    "upsert if absent": lambda caller: caller.upsert("a", if_absent=True),
    "upsert many": lambda caller: one_of(
        caller.store.upsert_many([caller.item("a"), caller.item("b")])
    ),
    "get": lambda caller: caller.get("a"),
    "delete": lambda caller: caller.delete("a"),
    "query": lambda caller: caller.page(),
    "query by column": lambda caller: caller.page(("a", "eq", 1), order_by="a"),
    "list": lambda caller: caller.store.list_tables(
        ListTables(**caller.scope_fields, allow_scan=True), caller.call()
    ),
}
METRICS: dict[str, Callable[[MetricsCaller], object]] = {
    "ingest": lambda caller: caller.ingest(point()),
    "ingest many": lambda caller: one_of(
        caller.store.ingest_many([caller.item(point()), caller.item(point(at=1))])
    ),
    "query": lambda caller: caller.page(),
    "query windows": lambda caller: caller.page(aggregation="sum"),
    "list": lambda caller: caller.store.list_series(
        ListSeries(**caller.scope_fields, allow_scan=True), caller.call()
    ),
}
STREAM: dict[str, Callable[[StreamCaller], object]] = {
    "append": lambda caller: caller.append(),
    "append at": lambda caller: caller.append(expected_version=0),
    "append many": lambda caller: one_of(caller.store.append_many([caller.item(), caller.item()])),
    "read": lambda caller: caller.read(),
    "list": lambda caller: caller.store.list_streams(
        ListStreams(**caller.scope_fields, allow_scan=True), caller.call()
    ),
}
WAYS: dict[ResourceKind, tuple[type[Any], dict[str, Callable[[Any], object]]]] = {
    ResourceKind.TABULAR_STORE: (TableCaller, TABLE),
    ResourceKind.METRICS_STORE: (MetricsCaller, METRICS),
    ResourceKind.EVENT_STREAM: (StreamCaller, STREAM),
}

KINDS = tuple(WAYS)
"""Object stores tell it apart from a missing key, in test_object_scope.py."""


def test_a_place_that_cannot_be_used_says_so(
    open_at: OpenAt, backend: Backend, harness: Harness
) -> None:
    kind, ways = WAYS[backend.kind]
    for name, way in ways.items():
        caller = open_at(kind, config=harness.unusable_config)
        with pytest.raises((Misconfigured, PermissionDenied, Unavailable)) as refused:
            way(caller)
        detail = refused.value.detail()
        assert (detail.kind, detail.tenant_id, detail.env, detail.backend_type) == (
            backend.kind,
            caller.tenant,
            caller.env,
            harness.backend_type,
        ), name
        assert detail.next_step, name
