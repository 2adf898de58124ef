"""Values at the limits of their types, which every backend must return unchanged."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from signalbox.commands.value import MAX_INT, MIN_INT

EDGES: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "least int": MIN_INT,
    "greatest int": MAX_INT,
    "int over float's 53 bits": 2**53 + 1,
    "float one": 1.0,
    "float zero": 0.0,
    "minus zero": -0.0,
    "float of all digits": 0.1 + 0.2,
    "huge float": 1e300,
    "greatest float": 1.7976931348623157e308,
    "tiny float": -1e-300,
    "least float": 5e-324,
    "float over int64": 2.0**63,
    "empty string": "",
    "string": "plain",
    "number as string": "1",
    "null as string": "null",
    "quotes": "'\"`\\",
    "control characters": "\0\t\n\x7f\x85",
    "astral": "😀\U0010ffff",
    "end of the plane": "\ud7ff\ue000\uffff",
    "composed": "é",
    "decomposed": unicodedata.normalize("NFD", "é"),
    "empty bytes": b"",
    "all bytes": bytes(range(256)),
    "text as bytes": b"plain",
    "timestamp": datetime(2026, 1, 31, 12, tzinfo=UTC),
    "microsecond": datetime(2026, 1, 31, 12, 0, 0, 1, UTC),
    "timestamp with offset": datetime(
        2026, 1, 31, 1, 2, 3, 456_789, timezone(timedelta(hours=5, minutes=45))
    ),
    "before 1970": datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    "first timestamp": datetime(1, 1, 1, tzinfo=UTC),
    "last timestamp": datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    "empty list": [],
    "empty object": {},
    "lists in lists": [[], [[1], [1.0, [True, None]]], [[[]]]],
    "objects in lists": [{"a": 1}, {}, {"a": {"b": [{"c": b"\0"}]}}],
    "mixed list": [1, 1.0, True, "1", b"1", None],
    "odd names": {"a.b": 1, " ": 2, "`": 3, "__name__": 4, '"': 5, "a/b": 6, "'": 7, "\\": 8},
}
