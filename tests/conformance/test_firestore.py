"""What only Firestore can get wrong: its indexes, its limits, its long ids, its commits."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.catalogue import find_backend
from adapters.port import AdapterContext, Call
from adapters.row_query import page_of_unordered
from commands.error import TooLarge, Unavailable
from commands.event_stream import AppendEvent, AppendResult, Event, ReadEvents
from commands.metrics_store import IngestPoints, Point, QueryPoints, canonical_labels
from commands.model import new_op_id
from commands.payload import DirectoryPayloadStore
from commands.scope import Mode, ResourceKind, Scope
from commands.tabular_store import Filter, GetRow, QueryRows, Row, UpsertResult, UpsertRow
from tests.conformance.firestore_harness import firestore_emulator

DAY = datetime(2026, 1, 1, tzinfo=UTC)
MakeCall = Callable[[int], Call]


@pytest.fixture
def place(tenant: str) -> dict[str, str]:
    return {"tenant_id": tenant, "env": "dev"}


@pytest.fixture
def call(tmp_path: Path) -> MakeCall:
    payloads = DirectoryPayloadStore(tmp_path)
    return lambda seq: Call(new_op_id(), seq, False, time.monotonic() + 60, payloads)


def open_store(kind: ResourceKind, tenant: str, **config: str) -> Any:
    scope = Scope(kind=kind, tenant_id=tenant, env="dev")
    found = {"project": "signalbox-alone", "emulator_host": firestore_emulator()} | config
    return find_backend(kind, "firestore").open(AdapterContext(scope, Mode.LAB, found))


@pytest.fixture
def table(tenant: str) -> Any:
    return open_store(ResourceKind.TABULAR_STORE, tenant)


def upsert(place: dict[str, str], key: str, data: dict[str, Any]) -> UpsertRow:
    return UpsertRow(**place, table_name="people", key=key, data=data)


QUERIES: list[dict[str, Any]] = [
    {},
    {"descending": True},
    {"filters": [Filter(column="a.b`\\", value=1)]},
    {"filters": [Filter(column="a.b`\\", value=1.0)], "descending": True},
    {"filters": [Filter(column="a.b`\\", value=0)]},
    {"filters": [Filter(column="__x__", value="é😀"), Filter(column="n", op="ge", value=100)]},
    {"filters": [Filter(column="__x__", value="é😀")], "order_by": "n", "descending": True},
    {"filters": [Filter(column="t", value=DAY)]},
    {"order_by": "a.b`\\"},
]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_indexes_give_the_answer_that_reading_all_rows_gives(
    table: Any, place: dict[str, str], call: MakeCall, query: dict[str, Any]
) -> None:
    choice = random.Random(7)
    rows = {
        f"{choice.choice('aÄ～😀z')}{number}": {
            "n": number,
            "a.b`\\": choice.choice([0, 0.0, -0.0, 1, 1.0, True, "1", b"1", None]),
            "__x__": choice.choice(["é😀", "e", "é" * 2000]),
            "t": DAY + timedelta(microseconds=number % 2),
        }
        for number in range(350)
    }
    items = [(upsert(place, key, data), call(1)) for key, data in rows.items()]
    assert all(isinstance(answer, UpsertResult) for answer in table.upsert_many(items))
    whole = QueryRows(**place, table_name="people", limit=1000, **query)
    stored = [Row(key=key, data=data, revision=1) for key, data in rows.items()]
    expected = [row.key for row in page_of_unordered(whole, stored).rows]
    found: list[str] = []
    cursor: str | None = None
    while cursor or not found:
        page = table.query(whole.model_copy(update={"cursor": cursor, "limit": 60}), call(2))
        found += [row.key for row in page.rows]
        cursor = page.next_cursor
    assert expected
    assert found == expected


def test_a_row_that_is_too_large_spoils_none_of_its_batch(
    table: Any, place: dict[str, str], call: MakeCall
) -> None:
    large, largest = "x" * 1_040_000, "x" * 1_048_000
    values: list[Any] = [1, largest, large, large, large, 2]
    items = [(upsert(place, f"row{n}", {"a": v}), call(n + 1)) for n, v in enumerate(values)]
    answers = table.upsert_many(items)
    assert [type(answer) for answer in answers].count(UpsertResult) == 5
    assert isinstance(answers[1], TooLarge)
    get = GetRow(**place, table_name="people", key="row3")
    assert table.get(get, call(9)).data == {"a": large}


def test_of_many_writers_of_one_row_the_newest_stays(
    table: Any, place: dict[str, str], call: MakeCall
) -> None:
    def write(seq: int) -> None:
        for _ in range(10):
            try:
                table.upsert(upsert(place, "hot", {"seq": seq}), call(seq))
                return
            except Unavailable:
                continue

    seqs = random.Random(3).sample(range(1, 25), 24)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, seqs))
    row = table.get(GetRow(**place, table_name="people", key="hot"), call(99))
    assert (row.data, row.revision) == ({"seq": 24}, 24)


def test_points_with_labels_longer_than_an_id_are_each_there_in_order(
    tenant: str, place: dict[str, str], call: MakeCall
) -> None:
    store = open_store(ResourceKind.METRICS_STORE, tenant)
    ends = ["b", "a", "ä", "/", ".", '"', "0"]
    points = [
        Point(series="cpu", timestamp=DAY, value=n, labels={"l": '"' * length + end})
        for n, (length, end) in enumerate((length, end) for length in (3, 900) for end in ends)
    ]
    for seq, change in ((2, 0), (3, 100), (1, 200)):
        changed = [p.model_copy(update={"value": p.value + change}) for p in points]
        store.ingest(IngestPoints(**place, points=changed), call(seq))
    query = QueryPoints(**place, series="cpu", start=DAY, end=DAY + timedelta(microseconds=1))
    found = store.query(query, call(9)).points
    expected = sorted(points, key=lambda point: canonical_labels(point.labels).encode())
    assert [(p.labels, p.value) for p in found] == [(p.labels, p.value + 100) for p in expected]


def test_a_batch_of_appends_over_many_streams_and_commits_has_no_gap(
    tenant: str, place: dict[str, str], call: MakeCall
) -> None:
    store = open_store(ResourceKind.EVENT_STREAM, tenant)
    items = [
        (AppendEvent(**place, stream=f"s/{n % 3}", event=Event(type="t", data={"n": n})), call(n))
        for n in range(1, 601)
    ]
    answers = store.append_many(items)
    assert all(isinstance(answer, AppendResult) and not answer.duplicate for answer in answers)
    again = store.append_many(items)
    assert again == answers
    for stream in range(3):
        read = ReadEvents(**place, stream=f"s/{stream}", limit=1000)
        events = store.read(read, call(1)).events
        assert [event.version for event in events] == list(range(1, 201))
        numbers = [event.data["n"] for event in events]
        assert numbers == sorted(numbers)


def test_the_route_decides_and_the_emulators_variable_does_not(
    tenant: str, place: dict[str, str], call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "elsewhere")
    store = open_store(ResourceKind.TABULAR_STORE, tenant)
    store.upsert(upsert(place, "a", {}), call(1))
    assert store.get(GetRow(**place, table_name="people", key="a"), call(2)).data == {}


def test_projects_databases_and_prefixes_hold_data_apart(
    tenant: str, place: dict[str, str], call: MakeCall
) -> None:
    configs = {"project": "signalbox-other", "database": "orders", "prefix": "sb_"}
    stores = [open_store(ResourceKind.TABULAR_STORE, tenant)]
    stores += [
        open_store(ResourceKind.TABULAR_STORE, tenant, **{key: configs[key]}) for key in configs
    ]
    for number, store in enumerate(stores):
        store.upsert(upsert(place, "a", {"n": number}), call(1))
    get = GetRow(**place, table_name="people", key="a")
    assert [store.get(get, call(2)).data["n"] for store in stores] == [0, 1, 2, 3]


def test_a_server_that_is_away_is_unavailable_within_seconds(
    tenant: str, place: dict[str, str], call: MakeCall
) -> None:
    store = open_store(ResourceKind.TABULAR_STORE, tenant, emulator_host="127.0.0.1:1")
    began = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        store.get(GetRow(**place, table_name="people", key="a"), call(1))
    assert time.monotonic() - began < 10
    assert refused.value.detail().backend_type == "firestore"
    answers = store.upsert_many([(upsert(place, key, {}), call(1)) for key in "ab"])
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
