"""How names, keys, points and values are spelled in Firestore: injective, ordered, allowed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.adapters.firestore.config import FirestoreConfig
from signalbox.adapters.firestore.message import (
    ValuePb,
    column_name,
    field_name,
    get_value,
    set_value,
)
from signalbox.adapters.firestore.name import (
    MAX_LABELS_LENGTH,
    Layout,
    point_id,
    row_id,
    segment,
    spell,
    time_and_labels,
    time_id,
)
from signalbox.adapters.metrics_page import micros
from signalbox.adapters.row_query import same
from signalbox.commands.metrics_store import canonical_labels
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.commands.value import Value

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
LABELS = st.dictionaries(TEXT, TEXT, max_size=4).map(canonical_labels)
TIMES = st.datetimes(timezones=st.just(UTC))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.binary(max_size=20),
    TIMES,
)
NAMES = TEXT.filter(lambda name: not name.startswith("$") and name.isprintable())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)


def allowed(document_id: str) -> bool:
    """What Firestore takes as an id."""
    return (
        0 < len(document_id.encode()) <= 1500
        and document_id.isascii()
        and "/" not in document_id
        and document_id not in (".", "..")
        and not re.fullmatch("__.*__", document_id)
    )


@pytest.mark.parametrize(
    "name", [".", "..", "__x__", "a/b", "a/../b", "ä", "😀" * 64, "%2F", "=2F"]
)
def test_every_name_becomes_an_id_that_firestore_takes(name: str) -> None:
    assert allowed(segment(name))
    assert allowed(row_id(name.encode()))


def test_the_longest_names_fit() -> None:
    assert allowed(segment("\U0010ffff" * 64))
    assert allowed(row_id(("\U0010ffff" * 128).encode()))


@given(TEXT, TEXT)
def test_two_names_never_share_an_id(one: str, other: str) -> None:
    assert (segment(one) == segment(other)) == (one == other)


@given(TEXT, TEXT)
def test_ids_of_rows_sort_as_the_utf8_of_their_keys(one: str, other: str) -> None:
    assert (row_id(one.encode()) < row_id(other.encode())) == (one.encode() < other.encode())


def test_scopes_and_prefixes_lie_apart() -> None:
    plain = FirestoreConfig(project="signalbox-lab")
    one = Layout.of(plain, Scope(kind=ResourceKind.TABULAR_STORE, tenant_id="t_a", env="dev"))
    two = Layout.of(plain, Scope(kind=ResourceKind.TABULAR_STORE, tenant_id="t_b", env="dev"))
    table = "../../../t_b/envs/dev/tables/ntable"
    assert one.collection("tables", table, "rows").parent.startswith(one.root)
    assert one.collection("tables", table, "rows").parent.count("/") == one.root.count("/") + 2
    assert not two.root.startswith(one.root)
    prefixed = FirestoreConfig(project="signalbox-lab", prefix="sb_")
    scope = Scope(kind=ResourceKind.TABULAR_STORE, tenant_id="t_a", env="dev")
    assert "/documents/sb_tenants/t_a/sb_envs/dev" in Layout.of(prefixed, scope).root


@given(TIMES, LABELS, TIMES, LABELS)
def test_ids_of_points_sort_by_time_then_labels(
    time: datetime, labels: str, time2: datetime, labels2: str
) -> None:
    one, other = point_id(time, labels), point_id(time2, labels2)
    assert allowed(one)
    if max(len(spell(labels)), len(spell(labels2))) <= MAX_LABELS_LENGTH:
        assert (one < other) == ((time, labels.encode()) < (time2, labels2.encode()))
    assert time_and_labels(f"points/{one}") == (micros(time), spell(labels)[:MAX_LABELS_LENGTH])
    assert time_id(time) < one < time_id(time + timedelta(microseconds=1)) or time.year == 9999


def test_labels_that_are_cut_off_in_an_id_are_still_told_apart() -> None:
    now = datetime.now(UTC)
    ids = {point_id(now, canonical_labels({"a": '"' * 1000 + end})) for end in "abc"}
    assert len(ids) == 3
    assert all(map(allowed, ids))


@given(VALUES)
def test_a_value_comes_back_equal_and_of_its_type(value: Value) -> None:
    slot = ValuePb()
    set_value(slot, value)
    again = get_value(ValuePb.FromString(slot.SerializeToString()))
    assert type(again) is type(value)
    assert same(again, value)


@pytest.mark.parametrize("column", ["__x__", "__", "~", "~~__x__", "a.b", "`", "\\", "_a_"])
def test_a_column_is_a_field_that_firestore_takes(column: str) -> None:
    assert column_name(field_name(column)) == column
    assert not field_name(column).startswith("__")
