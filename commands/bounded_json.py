"""JSON of strangers: bounded in size, depth and number of values, and parsed strictly."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from signalbox.commands.error import InvalidCommand, TooLarge

MAX_VALUES = 300_000
"""Maximum number of JSON values in a message, an object counted as five, to bound memory."""
MAX_DEPTH = 64
NEXT_STEP = "see docs/wire-contract.md; the message is kept as a dead letter"


def _refuse(text: str) -> NoReturn:
    raise InvalidCommand(text, next_step=NEXT_STEP)


def _no_number(_: str) -> NoReturn:
    _refuse("the message holds NaN or an infinity, which JSON does not have")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def read_json(data: bytes, max_bytes: int, what: str) -> Any:
    """Parse JSON of bounded size, values and depth. Raises InvalidCommand and TooLarge."""
    if len(data) > max_bytes:
        raise TooLarge(
            f"{what} has {len(data)} bytes, more than {max_bytes}",
            next_step="send fewer commands in a message, and large content by claim check",
        )
    # Every value costs at least one of these. In texts they count too: a bound need not be exact.
    if 5 * len(data) > MAX_VALUES:
        values = data.count(b",") + data.count(b"[") + 5 * data.count(b"{")
        if values > MAX_VALUES:
            raise TooLarge(
                f"{what} has more than {MAX_VALUES} values",
                next_step="send fewer commands in a message",
            )
    try:
        value = _DECODER.decode(data.decode())
    except RecursionError as error:
        raise InvalidCommand(f"{what} is nested too deeply", next_step=NEXT_STEP) from error
    except ValueError as error:
        where = ""
        if isinstance(error, json.JSONDecodeError):
            where = f" (line {error.lineno}, column {error.colno})"
        raise InvalidCommand(f"{what} is no JSON in UTF-8{where}", next_step=NEXT_STEP) from error
    if not _is_shallow(value):
        _refuse(f"{what} is nested more than {MAX_DEPTH} deep")
    return value


def _is_shallow(value: Any) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if outer.__class__ is dict else outer)
            if inner.__class__ is dict or inner.__class__ is list
        ]
        if not level:
            return True
    return False
