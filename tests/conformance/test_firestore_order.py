"""What only Firestore can get wrong of points and events: its ids, its commits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signalbox.commands.error import LeaseExpired
from signalbox.commands.event_stream import AppendEvent, AppendResult, Event, ReadEvents
from signalbox.commands.metrics_store import (
    IngestPoints,
    IngestResult,
    Point,
    QueryPoints,
    canonical_labels,
)
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import ResourceKind
from tests.conformance.firestore_spot import Spot

DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def spot(tenant: str, tmp_path: Path) -> Spot:
    return Spot(tenant, DirectoryPayloadStore(tmp_path))


def test_points_with_labels_longer_than_an_id_are_each_there_in_order(spot: Spot) -> None:
    store = spot.open(ResourceKind.METRICS_STORE)
    ends = ["b", "a", "ä", "/", ".", '"', "0"]
    points = [
        Point(series="cpu", timestamp=DAY, value=n, labels={"l": '"' * length + end})
        for n, (length, end) in enumerate((length, end) for length in (3, 900) for end in ends)
    ]
    for seq, change in ((2, 0), (3, 100), (1, 200)):
        changed = [p.model_copy(update={"value": p.value + change}) for p in points]
        store.ingest(IngestPoints(**spot.names, points=changed), spot.call(seq))
    query = QueryPoints(**spot.names, series="cpu", start=DAY, end=DAY + timedelta(microseconds=1))
    found = store.query(query, spot.call(9)).points
    expected = sorted(points, key=lambda point: canonical_labels(point.labels).encode())
    assert [(p.labels, p.value) for p in found] == [(p.labels, p.value + 100) for p in expected]


def test_a_batch_of_appends_over_many_streams_and_commits_has_no_gap(spot: Spot) -> None:
    store = spot.open(ResourceKind.EVENT_STREAM)
    items = [
        (
            AppendEvent(**spot.names, stream=f"s/{n % 3}", event=Event(type="t", data={"n": n})),
            spot.call(n),
        )
        for n in range(1, 601)
    ]
    answers = store.append_many(items)
    assert all(isinstance(answer, AppendResult) and not answer.duplicate for answer in answers)
    again = store.append_many(items)
    assert again == answers
    for stream in range(3):
        read = ReadEvents(**spot.names, stream=f"s/{stream}", limit=1000)
        events = store.read(read, spot.call(1)).events
        assert [event.version for event in events] == list(range(1, 201))
        numbers = [event.data["n"] for event in events]
        assert numbers == sorted(numbers)


def test_a_batch_with_one_point_many_times_keeps_the_newest_and_may_be_repeated(
    spot: Spot,
) -> None:
    store = spot.open(ResourceKind.METRICS_STORE)
    points = [Point(series="cpu", timestamp=DAY, value=n) for n in range(4)]
    items = [
        (IngestPoints(**spot.names, points=[point]), spot.call(seq))
        for point, seq in zip(points, (2, 4, 3, 1), strict=True)
    ]
    query = QueryPoints(**spot.names, series="cpu", start=DAY, end=DAY + timedelta(days=1))
    for _ in range(2):
        assert store.ingest_many(items) == [IngestResult(points=1)] * 4
        assert [point.value for point in store.query(query, spot.call(9)).points] == [1.0]


def test_a_lease_that_ran_out_stops_what_is_behind_it_on_its_stream_alone(spot: Spot) -> None:
    store = spot.open(ResourceKind.EVENT_STREAM)
    turns = [("a", 60.0), ("b", 60.0), ("a", 0.0), ("a", 60.0), ("b", 60.0)]
    items = [
        (AppendEvent(**spot.names, stream=name, event=Event(type="t")), spot.call(1, seconds))
        for name, seconds in turns
    ]
    answers = store.append_many(items)
    kinds = [type(answer) for answer in answers]
    assert kinds == [AppendResult, AppendResult, LeaseExpired, LeaseExpired, AppendResult]
    assert answers[2].backend_type == "firestore"


def test_a_lease_that_ran_out_spoils_no_other_ingest(spot: Spot) -> None:
    store = spot.open(ResourceKind.METRICS_STORE)
    point = Point(series="cpu", timestamp=DAY, value=1)
    ingest = IngestPoints(**spot.names, points=[point])
    answers = store.ingest_many([(ingest, spot.call(1, 0.0)), (ingest, spot.call(2))])
    assert [type(answer) for answer in answers] == [LeaseExpired, IngestResult]
