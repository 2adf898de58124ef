"""A bucket or folder that cannot be used: every verb reports it, with a next step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from signalbox.adapters.catalogue import Backend
from signalbox.commands.error import Misconfigured, PermissionDenied, SignalboxError, Unavailable
from signalbox.commands.scope import ResourceKind
from signalbox.testing.harness import Harness
from signalbox.testing.metrics_desk import MetricsDesk, point
from signalbox.testing.stream_desk import StreamDesk
from signalbox.testing.table_desk import TableDesk
from signalbox.testing.turn import OpenAt


def one_of(answers: list[Any]) -> None:
    """Raise the error that each of a bulk call's answers is."""
    assert len(answers) == 2
    for answer in answers:
        assert isinstance(answer, SignalboxError)
    raise answers[0]


TABLE: dict[str, Callable[[TableDesk], object]] = {
    "upsert": lambda desk: desk.upsert("a"),
    "upsert if absent": lambda desk: desk.upsert("a", if_absent=True),
    "upsert many": lambda desk: one_of(desk.store.upsert_many([desk.item("a"), desk.item("b")])),
    "get": lambda desk: desk.get("a"),
    "delete": lambda desk: desk.delete("a"),
    "query": lambda desk: desk.page(),
    "query by column": lambda desk: desk.page(("a", "eq", 1), order_by="a"),
}
METRICS: dict[str, Callable[[MetricsDesk], object]] = {
    "ingest": lambda desk: desk.ingest(point()),
    "ingest many": lambda desk: one_of(
        desk.store.ingest_many([desk.item(point()), desk.item(point(at=1))])
    ),
    "query": lambda desk: desk.page(),
    "query windows": lambda desk: desk.page(aggregation="sum"),
}
STREAM: dict[str, Callable[[StreamDesk], object]] = {
    "append": lambda desk: desk.append(),
    "append at": lambda desk: desk.append(expected_version=0),
    "append many": lambda desk: one_of(desk.store.append_many([desk.item(), desk.item()])),
    "read": lambda desk: desk.read(),
}
WAYS: dict[ResourceKind, tuple[type[Any], dict[str, Callable[[Any], object]]]] = {
    ResourceKind.TABULAR_STORE: (TableDesk, TABLE),
    ResourceKind.METRICS_STORE: (MetricsDesk, METRICS),
    ResourceKind.EVENT_STREAM: (StreamDesk, STREAM),
}

KINDS = tuple(WAYS)
"""Object stores tell it apart from a missing key, in test_object_scope.py."""


def test_a_place_that_cannot_be_used_says_so(
    open_at: OpenAt, backend: Backend, harness: Harness
) -> None:
    kind, ways = WAYS[backend.kind]
    for name, way in ways.items():
        desk = open_at(kind, config=harness.bad_place)
        with pytest.raises((Misconfigured, PermissionDenied, Unavailable)) as refused:
            way(desk)
        detail = refused.value.detail()
        assert (detail.kind, detail.tenant_id, detail.env, detail.backend_type) == (
            backend.kind,
            desk.tenant,
            desk.env,
            harness.backend_type,
        ), name
        assert detail.next_step, name
