"""Keys and items: apart for what is apart, in the order of what they name, and true to values."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.adapters.dynamodb.item import (
    MAX_ITEM_BYTES,
    fitting,
    from_json,
    keyed,
    to_json,
    weight,
)
from signalbox.adapters.dynamodb.key import (
    BLOCK,
    Key,
    Layout,
    block_of,
    day_of,
    split_point,
    time_bytes,
)
from signalbox.adapters.dynamodb.point import point_item, points_of
from signalbox.adapters.dynamodb.table import TRANSACTION
from signalbox.adapters.metrics_page import micros
from signalbox.commands.error import TooLarge
from signalbox.commands.metrics_store import Point, canonical_labels
from signalbox.commands.scope import ResourceKind, Scope

LAYOUT = Layout.of(Scope(kind=ResourceKind.TABULAR_STORE, tenant_id="t_a", env="dev"))
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
MOMENTS = st.datetimes(
    min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)
)
LABELS = st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=400))


def all_keys(name: str, other: str, number: int) -> set[Key]:
    return {
        LAYOUT.row(name, other),
        LAYOUT.day(name, number),
        LAYOUT.point(name, AT + timedelta(days=number), "{}", 1),
        LAYOUT.head(name),
        LAYOUT.event_id(name, other),
        LAYOUT.event(name, BLOCK * number + 1),
    }


@given(NAMES, NAMES, NAMES, NAMES, st.integers(0, 3), st.integers(0, 3))
def test_two_things_never_share_a_key(a: str, b: str, c: str, d: str, m: int, n: int) -> None:
    shared = all_keys(a, b, m) & all_keys(c, d, n)
    if a != c:
        assert not shared
    if b != d:
        assert not shared & {LAYOUT.row(a, b), LAYOUT.event_id(a, b)}


def test_everything_of_a_scope_is_in_partitions_that_begin_with_it() -> None:
    assert all(key.pk.startswith("t_a/dev/") for key in all_keys("x", "y", 1))


@pytest.mark.parametrize("name", ["\U0010ffff" * 64, "x" * 256])
def test_the_longest_names_fit(name: str) -> None:
    keys = all_keys(name, name, 10**6) | {LAYOUT.point(name, AT, "x" * 9000, 2**63 - 1)}
    assert all(len(key.pk.encode()) <= 2048 for key in keys)
    assert all(len(key.sk) <= 1024 for key in keys)


@given(MOMENTS, MOMENTS)
def test_times_and_days_sort_as_numbers(one: datetime, other: datetime) -> None:
    assert (one < other) == (time_bytes(one) < time_bytes(other))
    if one <= other:
        assert day_of(one) <= day_of(other)
        assert LAYOUT.day("s", day_of(one)).sk <= LAYOUT.day("s", day_of(other)).sk


@given(MOMENTS, LABELS, st.integers(0, 2**62))
def test_a_points_key_tells_its_time_and_seq(at: datetime, labels: dict[str, str], n: int) -> None:
    key = LAYOUT.point("s", at, canonical_labels(labels), n)
    time, spelled, seq = split_point(key.sk)
    assert (time, seq) == (micros(at), n)
    assert canonical_labels(labels).encode()[:960] == spelled[:960]


@given(st.lists(LABELS, min_size=1, max_size=6, unique_by=canonical_labels))
def test_points_come_in_the_order_of_their_labels_each_once(found: list[dict[str, str]]) -> None:
    points = [
        (Point.model_construct(series="s", timestamp=AT, value=float(seq), labels=labels), seq)
        for labels in found
        for seq in (2, 1)
    ]
    items = [point_item(LAYOUT, point, seq) for point, seq in points]
    given_back = list(points_of(iter(sorted(items, key=lambda item: bytes(item["sk"]["B"])))))
    assert [canonical_labels(point.labels) for point in given_back] == sorted(
        map(canonical_labels, found), key=str.encode
    )
    assert {point.value for point in given_back} == {2.0}


def test_labels_that_differ_only_far_behind_are_two_points() -> None:
    sort_keys = {LAYOUT.point("s", AT, "x" * 1000 + end, 1).sk for end in "ab"}
    assert len(sort_keys) == 2


@pytest.mark.parametrize("version", [1, BLOCK - 1, BLOCK])
def test_a_partition_holds_ten_thousand_versions(version: int) -> None:
    assert (block_of(version), block_of(version + BLOCK)) == (0, 1)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_bit_by_bit(value: float) -> None:
    given_back = from_json(to_json({"a": [value]}))["a"][0]
    assert struct.pack(">d", given_back) == struct.pack(">d", value)


def test_integers_stay_integers_and_floats_floats() -> None:
    given_back = from_json(to_json({"a": 1, "b": 1.0, "c": 2**63 - 1, "d": b"", "e": ""}))
    assert [type(value) for value in given_back.values()] == [int, float, int, bytes, str]


def test_an_item_is_weighed_as_dynamodb_does() -> None:
    item = keyed(Key("pk", b"sk"), row={"S": "é" * 10})
    assert weight(item) == 2 + 2 + 2 + 2 + 3 + 20


def test_what_is_over_400_kilobytes_is_refused() -> None:
    limit = MAX_ITEM_BYTES - weight(keyed(Key("pk", b"sk"), row={"S": ""}))
    fitting(keyed(Key("pk", b"sk"), row={"S": "x" * limit}), "the row")
    with pytest.raises(TooLarge, match="the row is over"):
        fitting(keyed(Key("pk", b"sk"), row={"S": "x" * (limit + 1)}), "the row")


@given(st.lists(st.integers(0, TRANSACTION.bytes)))
def test_requests_hold_every_item_once_and_no_more_than_they_may(sizes: list[int]) -> None:
    cut = list(TRANSACTION.cut(sizes))
    assert [number for group in cut for number in group] == list(range(len(sizes)))
    for group in cut:
        assert len(group) <= 100
        assert len(group) == 1 or sum(sizes[number] for number in group) <= TRANSACTION.bytes
