"""Items in the form of DynamoDB's API, and their size.

Data is stored as one text, its JSON form: DynamoDB's numbers have 38 digits, end at 1E+126, and do
not distinguish floats from integers.
"""

from __future__ import annotations

import json
from typing import Any, Final

from signalbox.adapters.dynamodb.failure import too_large
from signalbox.adapters.dynamodb.key import Key
from signalbox.adapters.stored import readable
from signalbox.commands.value import Value, json_form, read_value

Item = dict[str, Any]
"""Attribute names with values such as {"S": "text"}."""

MAX_ITEM_BYTES: Final = 400 * 1024
_NUMBER_BYTES = 21


def keyed(key: Key, **attributes: Any) -> Item:
    """Return the item with this key and these attributes."""
    return {"pk": {"S": key.pk}, "sk": {"B": key.sk}, **attributes}


def key_of(item: Item) -> Key:
    """Return an item's key. Raises IntegrityMismatch for a foreign item."""
    with readable("an item"):
        return Key(item["pk"]["S"], bytes(item["sk"]["B"]))


def number(value: int) -> dict[str, str]:
    """Return a number attribute."""
    return {"N": str(value)}


def read_integer(item: Item, name: str) -> int:
    """Return an integer attribute, 0 without one. Raises IntegrityMismatch."""
    with readable("an item"):
        return int(item[name]["N"]) if name in item else 0


def read_text(item: Item, name: str) -> str:
    """Return a text attribute. Raises IntegrityMismatch."""
    with readable("an item"):
        return str(item[name]["S"])


def to_json(value: Value) -> str:
    """Return a typed value as text; `from_json` returns an equal one."""
    return json.dumps(json_form(value), ensure_ascii=False, separators=(",", ":"))


def from_json(text: str) -> Value:
    """Return the value of `to_json`."""
    return read_value(json.loads(text))


def weight(item: Item) -> int:
    """Return the size as DynamoDB counts it, or a few bytes more."""
    total = 0
    for name, attribute in item.items():
        [(kind, value)] = attribute.items()
        total += len(name)
        if kind == "S":
            total += len(value) if value.isascii() else len(value.encode())
        else:
            total += len(value) if kind == "B" else _NUMBER_BYTES
    return total


def fitting(item: Item, what: str) -> Item:
    """Return the item. Raises TooLarge if it is over DynamoDB's limit."""
    if weight(item) > MAX_ITEM_BYTES:
        raise too_large(what)
    return item
