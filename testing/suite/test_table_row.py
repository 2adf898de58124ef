"""Rows: upserted as a whole, read, replaced and deleted, each under its own key."""

from __future__ import annotations

import pytest

from signalbox.commands.error import InvalidKey, NotFound, SignalboxError, TooLarge
from signalbox.commands.scope import ResourceKind
from signalbox.commands.value import MAX_DATA_BYTES
from signalbox.testing.table_caller import TableCaller

KIND = ResourceKind.TABULAR_STORE

ODD_NAMES = [
    *(".", "..", "a/b", "a//b", "/", "__name__", "__id__", "a.b", " a ", "a%2Fb", "%", "a#b"),
    *("`a`", "'a'", '"a"', "\\", "*", "[0]", "$a", "key", "data", "seq", "_", "-", "~", "|", ":"),
    *("CaSe", "case", "é", "e\u0301", "🚂", "\uffff", "\U0010ffff", "x" * 256, "é" * 128),
]


def test_a_row_comes_back_as_it_was_written(table: TableCaller) -> None:
    revision = table.upsert("ann", {"age": 36, "name": "Ann"})
    row = table.get("ann")
    assert (row.key, row.data, row.revision) == ("ann", {"age": 36, "name": "Ann"}, revision)


def test_an_upsert_replaces_the_whole_row(table: TableCaller) -> None:
    table.upsert("ann", {"age": 36, "name": "Ann", "more": {"a": 1, "b": 2}})
    table.upsert("ann", {"age": 37, "more": {"a": 3}})
    assert table.data("ann") == {"age": 37, "more": {"a": 3}}


def test_a_row_may_be_empty(table: TableCaller) -> None:
    table.upsert("ann", {"age": 36})
    table.upsert("ann", {})
    assert table.data("ann") == {}
    assert [row.data for row in table.rows()] == [{}]


def test_a_revision_grows_with_each_write(table: TableCaller) -> None:
    revisions = [table.upsert("ann", {"n": n}) for n in range(4)]
    table.delete("ann")
    revisions.append(table.upsert("ann"))
    assert revisions == sorted(set(revisions))
    assert table.get("ann").revision == revisions[-1]


def test_a_revision_is_the_commands_place_in_the_order(table: TableCaller) -> None:
    call = table.call()
    assert table.upsert("ann", call=call) == call.seq


def test_a_missing_row_is_not_found(table: TableCaller) -> None:
    table.upsert("ann")
    with pytest.raises(NotFound) as missed:
        table.get("bob")
    detail = missed.value.detail()
    assert (detail.code, detail.kind, detail.tenant_id) == ("NOT_FOUND", KIND, table.tenant)
    assert (detail.env, detail.temporary) == ("dev", False)
    assert detail.backend_type
    assert detail.next_step


def test_a_missing_table_has_no_rows(table: TableCaller) -> None:
    with pytest.raises(NotFound):
        table.get("ann", table="none")
    table.delete("ann", table="none")
    assert table.rows(table="none") == []


def test_a_deleted_row_is_gone(table: TableCaller) -> None:
    table.upsert("ann", {"age": 36})
    table.upsert("bob")
    table.delete("ann")
    with pytest.raises(NotFound):
        table.get("ann")
    assert table.keys() == ["bob"]


def test_a_delete_may_be_repeated(table: TableCaller) -> None:
    table.upsert("ann")
    for _ in range(3):
        table.delete("ann")
    assert table.keys() == []


def test_a_deleted_row_may_be_written_again(table: TableCaller) -> None:
    table.upsert("ann", {"age": 36, "old": True})
    table.delete("ann")
    table.upsert("ann", {"age": 1})
    assert table.data("ann") == {"age": 1}
    assert table.keys() == ["ann"]


def test_one_key_in_two_tables_is_two_rows(table: TableCaller) -> None:
    table.upsert("ann", {"in": "a"}, table="a")
    table.upsert("ann", {"in": "b"}, table="b")
    table.delete("ann", table="a")
    assert table.data("ann", table="b") == {"in": "b"}
    assert table.keys(table="a") == []


def test_odd_keys_stay_apart(table: TableCaller) -> None:
    table.fill({key: {"key": key} for key in ODD_NAMES})
    rows = table.rows()
    assert [row.key for row in rows] == sorted(ODD_NAMES, key=str.encode)
    assert all(row.data == {"key": row.key} for row in rows)
    for key in ODD_NAMES[::2]:
        assert table.data(key) == {"key": key}
        table.delete(key)
    assert table.keys() == sorted(ODD_NAMES[1::2], key=str.encode)


def test_odd_tables_stay_apart(table: TableCaller) -> None:
    items = [table.item("k", {"table": name}, table=name) for name in ODD_NAMES]
    assert not [a for a in table.store.upsert_many(items) if isinstance(a, SignalboxError)]
    for name in ODD_NAMES:
        assert [row.data for row in table.rows(table=name)] == [{"table": name}]


@pytest.mark.parametrize(
    ("table_name", "key"),
    [
        ("x" * 256, "x" * 512),
        ("é" * 128, "é" * 256),
        ("🚂" * 64, "🛤" * 128),
        ("/" * 256, "/" * 512),
    ],
    ids=["ascii", "two bytes", "four bytes", "slashes"],
)
def test_the_longest_names_are_names(table: TableCaller, table_name: str, key: str) -> None:
    table.upsert(key, {"a": 1}, table=table_name)
    table.upsert(key[:-1], {"a": 2}, table=table_name)
    assert table.data(key, table=table_name) == {"a": 1}
    assert table.keys(table=table_name) == [key[:-1], key]


@pytest.mark.parametrize("name", ["", "a\0", "\n", "\x1f", "\x7f", "\x85", "\ud800", "x" * 513])
def test_what_is_no_name_is_refused_before_the_backend(table: TableCaller, name: str) -> None:
    with pytest.raises(InvalidKey):
        table.upsert(name)
    with pytest.raises(InvalidKey):
        table.upsert("k", table=name)


def test_a_row_of_200_kib_is_taken_everywhere(table: TableCaller) -> None:
    content = bytes(range(256)) * 800
    table.upsert("ann", {"a": content})
    assert table.data("ann") == {"a": content}
    assert [row.data for row in table.rows()] == [{"a": content}]


@pytest.mark.parametrize("value", ["x", "é", b"\xff"], ids=["text", "two-byte text", "bytes"])
def test_a_row_of_almost_a_mebibyte_is_kept_whole_or_refused(
    table: TableCaller, value: str | bytes
) -> None:
    width = len(value if isinstance(value, bytes) else value.encode())
    data = {"a": value * ((MAX_DATA_BYTES - 64) // width)}
    table.upsert("ann", {"before": True})
    try:
        table.upsert("ann", data)
    except TooLarge:
        data = {"before": True}  # type: ignore[dict-item]
    assert table.data("ann") == data


def test_a_refusal_of_a_large_row_says_what_to_do(table: TableCaller) -> None:
    with pytest.raises(TooLarge) as refused:
        table.upsert("ann", {"a": b"x" * MAX_DATA_BYTES})
    assert refused.value.next_step
    assert table.keys() == []


def test_a_row_of_many_columns_is_kept_whole(table: TableCaller) -> None:
    data = {f"column {n}": n for n in range(1000)}
    table.upsert("ann", data)
    assert table.data("ann") == data
