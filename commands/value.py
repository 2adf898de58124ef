"""Typed values of rows and events, and their form in JSON.

| value      | in Python                   | in JSON                                    |
|------------|-----------------------------|--------------------------------------------|
| null, bool | None, bool                  | null, true, false                          |
| int64      | int                         | a number without fraction and exponent     |
| float      | float, finite               | a number with one                          |
| string     | str                         | a string                                   |
| bytes      | bytes                       | {"$bytes": "base64"}                       |
| timestamp  | datetime, aware             | {"$timestamp": "2026-01-31T12:00:00Z"}     |
| nested     | dict with str keys, list    | an object, a list                          |

Names that begin with `$` are reserved for such tags. Timestamps are stored in UTC to the
microsecond. A writer whose language does not tell floats from integers tags a float: {"$float": 1}.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from signalbox.commands.error import InvalidCommand, TooLarge
from signalbox.commands.name import check_name
from signalbox.commands.timestamp import in_utc

MAX_DATA_BYTES = 1024 * 1024
"""Largest data of one row or event, as `data_size` counts; a backend may allow less (TooLarge)."""
MAX_DEPTH = 16
MIN_INT, MAX_INT = -(2**63), 2**63 - 1

Value = Any
"""A value of one of the types in the table above."""
Data = dict[str, Value]
"""Values by the name of their column or field."""


def read_data(document: Any) -> Data:
    """Convert Python values, or values in their JSON form, to typed data.

    Raises InvalidCommand or InvalidKey for an unsupported value or name, TooLarge over 1 MiB.
    """
    if not isinstance(document, Mapping):
        raise InvalidCommand("data is not an object", next_step='send names and values: {"a": 1}')
    data = {_read_name(name): read_value(value, 1) for name, value in document.items()}
    if (size := data_size(data)) > MAX_DATA_BYTES:
        raise TooLarge(
            f"the data has {size} bytes",
            next_step=f"keep it within {MAX_DATA_BYTES}; large content belongs in an object_store",
        )
    return data


def read_value(value: Any, depth: int = 0) -> Value:
    """Convert one value at this depth of nesting; see `read_data`."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not MIN_INT <= value <= MAX_INT:
            raise InvalidCommand(
                "an integer is over 64 bits", next_step="send it as a string, or as a float"
            )
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidCommand(
                "NaN and infinity are no values", next_step="send null or leave out"
            )
        return float(value)
    if isinstance(value, str):
        return check_text(value)
    if isinstance(value, bytes):
        return value
    if isinstance(value, datetime):
        return in_utc(value)
    if depth >= MAX_DEPTH:
        raise InvalidCommand(f"data is nested over {MAX_DEPTH} levels deep", next_step="flatten it")
    if isinstance(value, Mapping):
        if len(value) == 1 and str(next(iter(value)))[:1] == "$":
            return _read_tagged(*next(iter(value.items())))
        return {_read_name(name): read_value(entry, depth + 1) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [read_value(entry, depth + 1) for entry in value]
    raise InvalidCommand(
        f"{type(value).__name__} is no type of a value",
        next_step="use null, bool, int, float, string, bytes, timestamp, list or object",
    )


def json_form(value: Value) -> Any:
    """Return the value in its JSON form, bytes and timestamps tagged; inverse of `read_value`."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"$timestamp": value.isoformat().replace("+00:00", "Z")}
    if isinstance(value, dict):
        return {name: json_form(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [json_form(entry) for entry in value]
    return value


def data_size(value: Value) -> int:
    """Return the approximate size in bytes: text as UTF-8, numbers as 8, plus 1 for each entry."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(1 + data_size(name) + data_size(entry) for name, entry in value.items())
    if isinstance(value, list):
        return sum(1 + data_size(entry) for entry in value)
    return 1 if value is None or isinstance(value, bool) else 8


def _read_name(name: Any) -> str:
    if not isinstance(name, str):
        raise InvalidCommand("a name is not a string", next_step="use strings as names")
    if name.startswith("$"):
        raise InvalidCommand(
            f"the name {name[:40]!r} begins with $",
            next_step="rename it; $ is for tagged values: $bytes, $timestamp, $float",
        )
    return check_name(name)


def check_text(value: str) -> str:
    """Return `value` unchanged, or raise InvalidCommand if it holds lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidCommand("a string is not valid Unicode", next_step="send UTF-8") from None
    return value


def _read_tagged(tag: str, content: Any) -> Value:
    try:
        if tag == "$bytes" and isinstance(content, str):
            return base64.b64decode(content, validate=True)
        if tag == "$timestamp" and isinstance(content, str):
            return in_utc(datetime.fromisoformat(content))
        if tag == "$float" and type(content) in (int, float):
            return read_value(float(content))
    except (ValueError, OverflowError):
        pass
    raise InvalidCommand(
        f"the tagged value {tag[:20]!r} cannot be read",
        next_step='use {"$bytes": "base64"}, {"$timestamp": "2026-01-31T12:00:00Z"} '
        'or {"$float": 1}',
    )


_SCHEMA = {
    "description": "null, bool, int64, float, string, list, object, or a tagged value: "
    '{"$bytes": "base64"}, {"$timestamp": "2026-01-31T12:00:00Z"}, {"$float": 1}'
}
TypedValue = Annotated[
    Any,
    BeforeValidator(read_value),
    PlainSerializer(json_form, when_used="json"),
    WithJsonSchema(_SCHEMA),
]
TypedData = Annotated[
    dict[str, Any],
    BeforeValidator(read_data),
    PlainSerializer(json_form, when_used="json"),
    WithJsonSchema({"type": "object", "additionalProperties": _SCHEMA}),
]
