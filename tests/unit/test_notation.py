"""Times, durations, comparisons and values as people write them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer

from signalbox.producers.cli.notation import comparison, duration, moment, number, shown, value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("250ms", 0.25), ("1.5d", 129600)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "5 m", "-5m", "5y", "m", "9" * 40 + "w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        duration(text)


def test_a_time_has_a_zone() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert moment("2026-01-31T12:00:00Z") == noon
    assert moment("2026-01-31T14:00+02:00") == noon
    for text in ("2026-01-31T12:00:00", "noon", "", "0001-01-01T00:00:00+02:00"):
        with pytest.raises(typer.BadParameter):
            moment(text)


@pytest.mark.parametrize(
    ("text", "column", "op", "found"),
    [
        ("age>=18", "age", "ge", 18),
        ("age <= 1.5", "age", "le", 1.5),
        ("age>18", "age", "gt", 18),
        ("age<18", "age", "lt", 18),
        ("name=Ann", "name", "eq", "Ann"),
        ("name=a=b", "name", "eq", "a=b"),
        ('zip="007"', "zip", "eq", "007"),
        ("name=", "name", "eq", ""),
        ("gone=null", "gone", "eq", None),
        ("ok=true", "ok", "eq", True),
        ('"odd > name" = 1', "odd > name", "eq", 1),
        (
            'at>={"$timestamp": "2026-01-31T12:00:00Z"}',
            "at",
            "ge",
            datetime(2026, 1, 31, 12, tzinfo=UTC),
        ),
    ],
)
def test_a_comparison_is_column_operator_and_value(
    text: str, column: str, op: str, found: Any
) -> None:
    test = comparison(text)
    assert (test.column, test.op, test.value) == (column, op, found)
    assert type(test.value) is type(found)


@pytest.mark.parametrize("text", ["age", "", '"a"b=1'])
def test_what_is_no_comparison_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        comparison(text)


@pytest.mark.parametrize("typed", ["Ann", "18", "true", "", 18, 1.0, None, {"a": [1]}, "{", "é"])
def test_a_value_is_read_back_as_it_is_shown(typed: Any) -> None:
    again = value(shown(typed))
    assert (again, type(again)) == (typed, type(typed))
    assert shown("Ann") == "Ann"
    assert shown("18") == '"18"'


def test_a_number_is_one() -> None:
    assert number("-1e5") == -100000
    with pytest.raises(typer.BadParameter):
        number("many")
