"""Parses times, durations, comparisons and typed values on the command line."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

import signalbox
from signalbox.commands.error import InvalidCommand

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_OPERATORS = {">=": "ge", "<=": "le", ">": "gt", "<": "lt", "=": "eq"}
_OPERATOR = re.compile(r">=|<=|>|<|=")


def duration(text: str) -> timedelta:
    """Parse a duration such as `5m`, `1h30m`, `250ms`: numbers with ms, s, m, h, d or w."""
    if _DURATION.fullmatch(text):
        try:
            return timedelta(
                seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(text))
            )
        except OverflowError:
            pass
    raise typer.BadParameter(f"{text!r} is no duration such as 30s, 5m, 1h or 1h30m")


def moment(text: str) -> datetime:
    """Parse an ISO 8601 time with Z or an offset."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter(f"{text!r} is no time such as 2026-01-31T12:00:00Z, Z or an offset")


def number(text: str) -> float:
    """Parse a number, which may be negative."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number") from None


def json_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises InvalidCommand."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidCommand(
            "the data is no JSON object", next_step='write it like \'{"name": "Ann", "age": 36}\''
        )
    return document


def value(text: str) -> Any:
    """Parse JSON, or take the text as a string: 18, true, null, "18", Ann, {"$timestamp": "…"}."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def shown(typed: Any) -> str:
    """Write a value such that `value` reads it back; strings without quotes where that is
    unambiguous."""
    if isinstance(typed, str) and value(typed) is typed:
        return typed
    return json.dumps(typed, ensure_ascii=False)


def comparison(text: str) -> signalbox.Filter:
    """Parse `age>=18`, `name=Ann`, `"odd > name"=1`: column, one of = < <= > >=, and a value."""
    column, end = "", 0
    if text.startswith('"'):
        with contextlib.suppress(ValueError):
            column, end = json.JSONDecoder().raw_decode(text)
    found = _OPERATOR.search(text, end)
    if found is None or (column and text[end : found.start()].strip()):
        raise typer.BadParameter(f"{text!r} is no comparison such as 'age>=18' or 'name=Ann'")
    return signalbox.Filter.model_validate(
        {
            "column": column or text[: found.start()].strip(),
            "op": _OPERATORS[found.group()],
            "value": value(text[found.end() :].strip()),
        }
    )
