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
from tests.conformance.firestore_tenant import FirestoreTenant

DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def firestore(tenant: str, tmp_path: Path) -> FirestoreTenant:
    return FirestoreTenant(tenant, DirectoryPayloadStore(tmp_path))


def test_points_with_labels_longer_than_an_id_are_each_there_in_order(
    firestore: FirestoreTenant,
) -> None:
    store = firestore.open(ResourceKind.METRICS_STORE)
    ends = ["b", "a", "ä", "/", ".", '"', "0"]
    points = [
        Point(series="cpu", timestamp=DAY, value=n, labels={"l": '"' * length + end})
        for n, (length, end) in enumerate((length, end) for length in (3, 900) for end in ends)
    ]
    for seq, change in ((2, 0), (3, 100), (1, 200)):
        changed = [p.model_copy(update={"value": p.value + change}) for p in points]
        store.ingest(IngestPoints(**firestore.names, points=changed), firestore.call(seq))
    query = QueryPoints(
        **firestore.names, series="cpu", start=DAY, end=DAY + timedelta(microseconds=1)
    )
    found = store.query(query, firestore.call(9)).points
    expected = sorted(points, key=lambda point: canonical_labels(point.labels).encode())
    assert [(p.labels, p.value) for p in found] == [(p.labels, p.value + 100) for p in expected]


def test_a_batch_of_appends_over_many_streams_and_commits_has_no_gap(
    firestore: FirestoreTenant,
) -> None:
    store = firestore.open(ResourceKind.EVENT_STREAM)
    items = [
        (
            AppendEvent(
                **firestore.names, stream=f"s/{n % 3}", event=Event(type="t", data={"n": n})
            ),
            firestore.call(n),
        )
        for n in range(1, 601)
    ]
    answers = store.append_many(items)
    assert all(isinstance(answer, AppendResult) and not answer.duplicate for answer in answers)
    again = store.append_many(items)
    assert again == answers
    for stream in range(3):
        read = ReadEvents(**firestore.names, stream=f"s/{stream}", limit=1000)
        events = store.read(read, firestore.call(1)).events
        assert [event.version for event in events] == list(range(1, 201))
        numbers = [event.data["n"] for event in events]
        assert numbers == sorted(numbers)


def test_a_batch_with_one_point_many_times_keeps_the_newest_and_may_be_repeated(
    firestore: FirestoreTenant,
) -> None:
    store = firestore.open(ResourceKind.METRICS_STORE)
    points = [Point(series="cpu", timestamp=DAY, value=n) for n in range(4)]
    items = [
        (IngestPoints(**firestore.names, points=[point]), firestore.call(seq))
        for point, seq in zip(points, (2, 4, 3, 1), strict=True)
    ]
    query = QueryPoints(**firestore.names, series="cpu", start=DAY, end=DAY + timedelta(days=1))
    for _ in range(2):
        assert store.ingest_many(items) == [IngestResult(points=1)] * 4
        assert [point.value for point in store.query(query, firestore.call(9)).points] == [1.0]


def test_a_lease_that_ran_out_stops_what_is_behind_it_on_its_stream_alone(
    firestore: FirestoreTenant,
) -> None:
    store = firestore.open(ResourceKind.EVENT_STREAM)
    turns = [("a", 60.0), ("b", 60.0), ("a", 0.0), ("a", 60.0), ("b", 60.0)]
    items = [
        (
            AppendEvent(**firestore.names, stream=name, event=Event(type="t")),
            firestore.call(1, seconds),
        )
        for name, seconds in turns
    ]
    answers = store.append_many(items)
    kinds = [type(answer) for answer in answers]
    assert kinds == [AppendResult, AppendResult, LeaseExpired, LeaseExpired, AppendResult]
    assert answers[2].backend_type == "firestore"


def test_a_lease_that_ran_out_spoils_no_other_ingest(firestore: FirestoreTenant) -> None:
    store = firestore.open(ResourceKind.METRICS_STORE)
    point = Point(series="cpu", timestamp=DAY, value=1)
    ingest = IngestPoints(**firestore.names, points=[point])
    answers = store.ingest_many([(ingest, firestore.call(1, 0.0)), (ingest, firestore.call(2))])
    assert [type(answer) for answer in answers] == [LeaseExpired, IngestResult]
