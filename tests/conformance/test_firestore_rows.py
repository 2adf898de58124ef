"""What only Firestore can get wrong of rows: its indexes, its limits, its projects."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.row_query import page_of_unordered
from signalbox.commands.error import Contended, TooLarge, Unavailable
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.tabular_store import Filter, QueryRows, Row, UpsertResult
from tests.conformance.firestore_spot import Spot

DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def spot(tenant: str, tmp_path: Path) -> Spot:
    return Spot(tenant, DirectoryPayloadStore(tmp_path))


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
    spot: Spot, query: dict[str, Any]
) -> None:
    table = spot.table()
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
    items = [(spot.upsert(key, data), spot.call(1)) for key, data in rows.items()]
    assert all(isinstance(answer, UpsertResult) for answer in table.upsert_many(items))
    whole = QueryRows(**spot.names, table_name="people", limit=1000, **query)
    stored = [Row(key=key, data=data, revision=1) for key, data in rows.items()]
    expected = [row.key for row in page_of_unordered(whole, stored).rows]
    found: list[str] = []
    cursor: str | None = None
    while cursor or not found:
        page = table.query(whole.model_copy(update={"cursor": cursor, "limit": 60}), spot.call(2))
        found += [row.key for row in page.rows]
        cursor = page.next_cursor
    assert expected
    assert found == expected


def test_a_row_that_is_too_large_spoils_none_of_its_batch(spot: Spot) -> None:
    table = spot.table()
    large, largest = "x" * 1_040_000, "x" * 1_048_000
    values: list[Any] = [1, largest, large, large, large, 2]
    items = [(spot.upsert(f"row{n}", {"a": v}), spot.call(n + 1)) for n, v in enumerate(values)]
    answers = table.upsert_many(items)
    assert [type(answer) for answer in answers].count(UpsertResult) == 5
    assert isinstance(answers[1], TooLarge)
    get = spot.get("row3")
    assert table.get(get, spot.call(9)).data == {"a": large}


def test_of_many_writers_of_one_row_the_newest_stays(spot: Spot) -> None:
    table = spot.table()

    def write(seq: int) -> None:
        for _ in range(10):
            try:
                table.upsert(spot.upsert("hot", {"seq": seq}), spot.call(seq))
                return
            except (Contended, Unavailable):
                continue

    seqs = random.Random(3).sample(range(1, 25), 24)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, seqs))
    row = table.get(spot.get("hot"), spot.call(99))
    assert (row.data, row.revision) == ({"seq": 24}, 24)


def test_the_route_decides_and_the_emulators_variable_does_not(
    spot: Spot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "elsewhere")
    store = spot.table()
    store.upsert(spot.upsert("a", {}), spot.call(1))
    assert store.get(spot.get("a"), spot.call(2)).data == {}


def test_projects_databases_and_prefixes_hold_data_apart(spot: Spot) -> None:
    configs = {"project": "signalbox-other", "database": "orders", "prefix": "sb_"}
    stores = [spot.table()]
    stores += [spot.table(**{key: configs[key]}) for key in configs]
    for number, store in enumerate(stores):
        store.upsert(spot.upsert("a", {"n": number}), spot.call(1))
    get = spot.get("a")
    assert [store.get(get, spot.call(2)).data["n"] for store in stores] == [0, 1, 2, 3]


def test_a_server_that_is_away_is_unavailable_long_before_the_lease_ends(spot: Spot) -> None:
    store = spot.table(emulator_host="127.0.0.1:1")
    call = spot.call(1, seconds=300)
    with pytest.raises(Unavailable) as refused:
        store.get(spot.get("a"), call)
    assert call.remaining() > 0, "the client's own patience, not the lease, is the limit"
    assert refused.value.detail().backend_type == "firestore"
    answers = store.upsert_many([(spot.upsert(key, {}), spot.call(1)) for key in "ab"])
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
