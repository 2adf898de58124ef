"""The JSON text in which databases keep the data of rows and events (`commands/value.py`)."""

from __future__ import annotations

import json
from types import NoneType
from typing import Any, Final

from pydantic_core import to_json

from signalbox.adapters.stored import UNREADABLE, damaged
from signalbox.commands.value import Data, json_form, read_value

_PLAIN: Final = frozenset({str, int, float, bool, NoneType})


def data_text(data: Data) -> str:
    """Return the text of checked data; `read_text` returns equal data with equal types."""
    # Most data is flat and needs no tags; pydantic's serializer takes a fifth of json's time.
    plain = _PLAIN.issuperset(map(type, data.values()))
    return to_json(data if plain else json_form(data)).decode()


def read_text(text: str) -> Data:
    """Return the data of such a text, without checking each value again.

    Raises IntegrityMismatch for any other text.
    """
    try:
        data: Data = _decode(text)
    except UNREADABLE as error:
        raise damaged("data", error) from error
    if type(data) is not dict:
        raise damaged("data", TypeError())
    return data


def _untagged(entry: dict[str, Any]) -> Any:
    # No name in the data itself begins with $.
    if len(entry) == 1 and next(iter(entry)).startswith("$"):
        return read_value(entry)
    return entry


def _no_number(text: str) -> Any:
    raise ValueError(text)


_decode: Final = json.JSONDecoder(object_hook=_untagged, parse_constant=_no_number).decode
