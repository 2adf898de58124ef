"""What only Firestore can get wrong of rows: its indexes, its limits, its projects."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import FailedPrecondition

from signalbox.adapters.firestore.database import Database
from signalbox.adapters.firestore.row_plan import in_order
from signalbox.adapters.row_query import page_of_unordered
from signalbox.adapters.table_driver import NotIndexed
from signalbox.commands.error import Contended, ScanRefused, TooLarge, Unavailable
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.tabular_store import Filter, QueryRows, Row, UpsertResult
from tests.conformance.firestore_tenant import FirestoreTenant

DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def firestore(tenant: str, tmp_path: Path) -> FirestoreTenant:
    return FirestoreTenant(tenant, DirectoryPayloadStore(tmp_path))


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
    {"order_by": "a.b`\\", "descending": True},
    {"order_by": "a.b`\\", "filters": [Filter(column="a.b`\\", op="ge", value=0)]},
    {"order_by": "a.b`\\", "filters": [Filter(column="a.b`\\", value=0)], "descending": True},
    {"order_by": "n", "filters": [Filter(column="a.b`\\", value=None)]},
    *(
        {"order_by": "large", "descending": descending, "filters": filters}
        for descending in (False, True)
        for filters in (
            [],
            [Filter(column="large", value=2**53 + 1)],
            [Filter(column="large", op="gt", value=2.0**53)],
            [Filter(column="large", op="le", value=-(2**53) - 1)],
            [Filter(column="large", op="ge", value="é" * 600)],
            [Filter(column="large", op="lt", value="é" * 1500)],
            [Filter(column="large", op="le", value=b"\xff" * 1500)],
        )
    ),
]
LARGE: list[Any] = [
    *(2**53, 2**53 + 1, 2.0**53, 2**53 + 2, -(2**53), -(2**53) - 1, 2**63 - 1, 2.0**63, 1e308),
    *("é" * 500, "é" * 512, "é" * 512 + "1", "é" * 512 + "0", "é" * 1600 + "b", "é" * 1600 + "a"),
    *(b"\xff" * 1023, b"\xff" * 1024, b"\xff" * 1600, b"\xff" * 1100 + b"a", [1], {"a": "b"}),
]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_indexes_give_the_answer_that_reading_all_rows_gives(
    firestore: FirestoreTenant, query: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where its order is not ours, all rows are read: here it is to be ours.
    monkeypatch.setattr("signalbox.adapters.firestore.row_plan.NotIndexed", AssertionError)
    table = firestore.table()
    choice = random.Random(7)
    rows = {
        f"{choice.choice('aÄ～😀z')}{number}": {
            "n": number,
            "a.b`\\": choice.choice([0, 0.0, -0.0, 1, 1.0, True, "1", b"1", None]),
            "__x__": choice.choice(["é😀", "e", "é" * 2000]),
            "t": DAY + timedelta(microseconds=number % 2),
            **({"large": LARGE[number % len(LARGE)]} if number % 5 else {}),
        }
        for number in range(350)
    }
    items = [(firestore.upsert(key, data), firestore.call(1)) for key, data in rows.items()]
    assert all(isinstance(answer, UpsertResult) for answer in table.upsert_many(items))
    names = {**firestore.names, "table_name": "people", "allow_scan": True}
    whole = QueryRows(**names, limit=1000, **query)
    stored = [Row(key=key, data=data, revision=1) for key, data in rows.items()]
    expected = [row.key for row in page_of_unordered(whole, stored).rows]
    found: list[str] = []
    cursor: str | None = None
    while cursor or not found:
        page = table.query(
            whole.model_copy(update={"cursor": cursor, "limit": 60}), firestore.call(2)
        )
        found += [row.key for row in page.rows]
        cursor = page.next_cursor
    assert expected
    assert found == expected


def fill(firestore: FirestoreTenant, count: int) -> Any:
    table = firestore.table()
    items = [
        (firestore.upsert(f"row{n:03}", {"n": n // 2, "of": n % 2}), firestore.call(1))
        for n in range(count)
    ]
    assert all(isinstance(answer, UpsertResult) for answer in table.upsert_many(items))
    return table


@pytest.mark.parametrize("descending", [False, True])
def test_a_page_in_the_order_of_an_index_reads_the_page(
    firestore: FirestoreTenant, descending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, read = fill(firestore, 60), list[str]()
    stream = Database._stream

    def counted(*arguments: Any) -> Any:
        for document in stream(*arguments):
            read.append(document.name)
            yield document

    monkeypatch.setattr(Database, "_stream", counted)
    for filters in (
        [Filter(column="n", op="ge", value=5)],
        [Filter(column="n", op="ge", value=5), Filter(column="of", value=1)],
    ):
        cursor: str | None = None
        found: list[int] = []
        for _ in range(3):
            query = QueryRows(
                **firestore.names,
                table_name="people",
                filters=filters,
                order_by="n",
                descending=descending,
                limit=4,
                cursor=cursor,
            )
            read.clear()
            page = table.query(query, firestore.call(2))
            assert len(read) == 5
            found += [row.data["n"] for row in page.rows]
            cursor = page.next_cursor
        assert found == sorted(found, reverse=descending)


def test_without_an_index_of_two_columns_that_of_one_serves(
    firestore: FirestoreTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Firestore does it; the emulator needs no index."""
    table = fill(firestore, 60)
    walk = Database.walk

    def indexed(*arguments: Any, **options: Any) -> Any:
        if options.get("where") is not None and options.get("order", "__name__") != "__name__":
            raise FailedPrecondition("the query requires an index")  # type: ignore[no-untyped-call]
        return walk(*arguments, **options)

    monkeypatch.setattr(Database, "walk", indexed)
    for fields in ({"order_by": "n"}, {"order_by": "n", "descending": True}, {"descending": True}):
        cursor: str | None = None
        keys: list[str] = []
        while cursor or not keys:
            query = QueryRows(
                **firestore.names,
                table_name="people",
                filters=[Filter(column="of", value=1)],
                limit=20,
                cursor=cursor,
                **fields,
            )
            page = table.query(query, firestore.call(2))
            keys += [row.key for row in page.rows]
            cursor = page.next_cursor
        expected = [f"row{n:03}" for n in range(1, 60, 2)]
        assert keys == (expected[::-1] if "descending" in fields else expected)


@pytest.mark.parametrize(
    ("fields", "step"),
    [
        ({"order_by": "n"}, "Filter on it as well, as n>=0"),
        ({"filters": [Filter(column="n", op="lt", value=7)]}, "Order by 'n'"),
        ({"filters": [Filter(column="n", value=[7])]}, "indexes no list"),
        ({"filters": [Filter(column="n", value="x" * 1001)]}, "indexes 1000 bytes"),
    ],
)
def test_a_scan_names_what_an_index_would_serve(
    firestore: FirestoreTenant, fields: dict[str, Any], step: str
) -> None:
    with pytest.raises(ScanRefused) as refused:
        firestore.table().query(
            QueryRows(**firestore.names, table_name="t", **fields), firestore.call(1)
        )
    assert "'n'" in str(refused.value)
    assert step in str(refused.value)


def test_rows_in_another_order_than_ours_are_not_taken() -> None:
    query = QueryRows(tenant_id="t_a", env="dev", table_name="t", order_by="n")
    rows = [Row(key=key, data={"n": n}, revision=1) for key, n in (("a", 2), ("b", 1))]
    with pytest.raises(NotIndexed):
        list(in_order(query, rows))


def test_a_row_that_is_too_large_spoils_none_of_its_batch(firestore: FirestoreTenant) -> None:
    table = firestore.table()
    large, largest = "x" * 1_040_000, "x" * 1_048_000
    values: list[Any] = [1, largest, large, large, large, 2]
    items = [
        (firestore.upsert(f"row{n}", {"a": v}), firestore.call(n + 1)) for n, v in enumerate(values)
    ]
    answers = table.upsert_many(items)
    assert [type(answer) for answer in answers].count(UpsertResult) == 5
    assert isinstance(answers[1], TooLarge)
    get = firestore.get("row3")
    assert table.get(get, firestore.call(9)).data == {"a": large}


def test_of_many_writers_of_one_row_the_newest_stays(firestore: FirestoreTenant) -> None:
    table = firestore.table()

    def write(seq: int) -> None:
        for _ in range(10):
            try:
                table.upsert(firestore.upsert("hot", {"seq": seq}), firestore.call(seq))
                return
            except (Contended, Unavailable):
                continue

    seqs = random.Random(3).sample(range(1, 25), 24)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, seqs))
    row = table.get(firestore.get("hot"), firestore.call(99))
    assert (row.data, row.revision) == ({"seq": 24}, 24)


def test_the_route_decides_and_the_emulators_variable_does_not(
    firestore: FirestoreTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "elsewhere")
    store = firestore.table()
    store.upsert(firestore.upsert("a", {}), firestore.call(1))
    assert store.get(firestore.get("a"), firestore.call(2)).data == {}


def test_projects_databases_and_prefixes_hold_data_apart(firestore: FirestoreTenant) -> None:
    configs = {"project": "signalbox-other", "database": "orders", "prefix": "sb_"}
    stores = [firestore.table()]
    stores += [firestore.table(**{key: configs[key]}) for key in configs]
    for number, store in enumerate(stores):
        store.upsert(firestore.upsert("a", {"n": number}), firestore.call(1))
    get = firestore.get("a")
    assert [store.get(get, firestore.call(2)).data["n"] for store in stores] == [0, 1, 2, 3]


def test_a_server_that_is_away_is_unavailable_long_before_the_lease_ends(
    firestore: FirestoreTenant,
) -> None:
    store = firestore.table(emulator_host="127.0.0.1:1")
    call = firestore.call(1, seconds=300)
    with pytest.raises(Unavailable) as refused:
        store.get(firestore.get("a"), call)
    assert call.remaining() > 0, "the client's own timeout, not the lease, is the limit"
    assert refused.value.detail().backend_type == "firestore"
    answers = store.upsert_many([(firestore.upsert(key, {}), firestore.call(1)) for key in "ab"])
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
