"""Typed values: each comes back from its JSON as the value that it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given

from signalbox.adapters.data_text import data_text, read_text
from signalbox.commands.error import InvalidCommand, InvalidKey, TooLarge
from signalbox.commands.tabular_store import Row, UpsertRow
from signalbox.commands.value import (
    MAX_DATA_BYTES,
    MAX_DEPTH,
    MAX_INT,
    MIN_INT,
    data_size,
    json_form,
    read_data,
    read_value,
)
from signalbox.testing.typed_values import data, exact, values

EDGES: list[Any] = [
    0,
    -0.0,
    1.0,
    1e300,
    5e-324,
    0.1 + 0.2,
    1.7976931348623157e308,
    2.0**63,
    MIN_INT,
    MAX_INT,
    True,
    "",
    "\0\x7f\u2028\ud7ff\uffff😀",
    b"",
    bytes(range(256)),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    [[], {}, None],
]


@given(values)
def test_a_value_survives_json(value: Any) -> None:
    assert exact(read_value(json.loads(json.dumps(json_form(value))))) == exact(value)


@pytest.mark.parametrize("value", EDGES, ids=repr)
def test_an_extreme_value_survives_the_wire_and_a_database(value: Any) -> None:
    command = UpsertRow(tenant_id="t_a", env="dev", table_name="t", key="k", data={"a": value})
    back = UpsertRow.model_validate_json(command.model_dump_json())
    assert exact(back.data) == exact({"a": value})
    row = Row(key="k", data=command.data, revision=1)
    assert exact(Row.model_validate_json(row.model_dump_json()).data) == exact({"a": value})
    assert exact(read_text(data_text(command.data))) == exact({"a": value})


@given(data)
def test_data_survives_the_wire_and_a_database(document: dict[str, Any]) -> None:
    command = UpsertRow(tenant_id="t_a", env="dev", table_name="t", key="k", data=document)
    assert exact(command.data) == exact(document)
    back = UpsertRow.model_validate_json(command.model_dump_json())
    assert exact(back.data) == exact(document)
    assert exact(read_text(data_text(document))) == exact(document)


@given(data)
def test_reading_what_was_read_changes_nothing(document: dict[str, Any]) -> None:
    assert exact(read_data(read_data(document))) == exact(document)
    assert data_size(read_data(document)) == data_size(document)


def test_a_time_of_another_zone_is_kept_in_utc() -> None:
    there = datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=2)))
    assert json_form(read_value(there)) == {"$timestamp": "2026-01-30T23:00:00Z"}


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ([], InvalidCommand),
        ({"": 1}, InvalidKey),
        ({"a\n": 1}, InvalidKey),
        ({"$bytes": "AA=="}, InvalidCommand),
        ({"a": {"$bytes": "A"}}, InvalidCommand),
        ({"a": {"$bytes": "ä"}}, InvalidCommand),
        ({"a": {"$timestamp": "2026-01-31T12:00:00"}}, InvalidCommand),
        ({"a": {"$timestamp": "0001-01-01T00:00:00+01:00"}}, InvalidCommand),
        ({"a": {"$float": True}}, InvalidCommand),
        ({"a": {"$float": 10**400}}, InvalidCommand),
        ({"a": {"$other": 1}}, InvalidCommand),
        ({"a": {"$float": 1, "b": 2}}, InvalidCommand),
        ({"a": float("nan")}, InvalidCommand),
        ({"a": float("inf")}, InvalidCommand),
        ({"a": 2**63}, InvalidCommand),
        ({"a": "\ud800"}, InvalidCommand),
        ({"a": {1}}, InvalidCommand),
        ({"a": {1: 2}}, InvalidCommand),
        ({"a": datetime(2026, 1, 1)}, InvalidCommand),
        ({"a": "x" * MAX_DATA_BYTES}, TooLarge),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_has_no_type_is_refused_with_the_next_step(
    document: Any, error: type[InvalidCommand]
) -> None:
    with pytest.raises(error) as refused:
        read_data(document)
    assert refused.value.next_step


def test_nesting_ends_at_its_limit() -> None:
    def nested(levels: int) -> Any:
        return [nested(levels - 1)] if levels else 0

    assert read_data({"a": nested(MAX_DEPTH - 1)}) == {"a": nested(MAX_DEPTH - 1)}
    with pytest.raises(InvalidCommand):
        read_data({"a": nested(MAX_DEPTH)})
