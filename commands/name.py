"""Checks the names of tables, rows, columns, series, labels, streams and events."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator

from signalbox.commands.error import InvalidKey

MAX_NAME_BYTES = 256
MAX_ROW_KEY_BYTES = 512


def check_name(value: str, what: str = "name", limit: int = MAX_NAME_BYTES) -> str:
    """Return `value` unchanged, or raise InvalidKey.

    Refused: empty, over `limit` UTF-8 bytes, control characters, lone surrogates. Everything else
    is allowed, including `..` and `a/b`: a backend encodes it where it has to.
    """
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidKey(f"the {what} is not valid Unicode", next_step="send UTF-8 text") from None
    if not value:
        raise InvalidKey(f"the {what} is empty", next_step="name it")
    if size > limit:
        raise InvalidKey(
            f"the {what} {value[:40]!r}… has {size} bytes",
            next_step=f"keep it within {limit} UTF-8 bytes",
        )
    # Most names are printable, and seen to be so at once.
    if not value.isprintable() and any(unicodedata.category(c) == "Cc" for c in value):
        raise InvalidKey(
            f"the {what} {value[:80]!r} holds a control character",
            next_step="remove NUL, newline and other control characters",
        )
    return value


def check_prefix(value: str) -> str:
    """Return the beginning of a name unchanged, or raise InvalidKey; empty is allowed."""
    return check_name(value, "prefix") if value else value


def _name(what: str, limit: int = MAX_NAME_BYTES) -> AfterValidator:
    return AfterValidator(lambda value: check_name(value, what, limit))


NamePrefix = Annotated[str, AfterValidator(check_prefix)]
TableName = Annotated[str, _name("table name")]
RowKey = Annotated[str, _name("row key", MAX_ROW_KEY_BYTES)]
ColumnName = Annotated[str, _name("column name")]
SeriesName = Annotated[str, _name("series name")]
LabelName = Annotated[str, _name("label name")]
StreamName = Annotated[str, _name("stream name")]
EventId = Annotated[str, _name("event id")]
EventType = Annotated[str, _name("event type")]
