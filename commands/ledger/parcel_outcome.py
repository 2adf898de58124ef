"""The outcomes of a parcel's commands as one blob, a hundred bytes or less for a plain write.

The JSON of the blob is `{"schema": tag, "sections": [{"at": positions, "outcome": columns,
"result": columns or null}]}`, with a section for each op and set of names in the result. Columns
are as in `columnar.py`, and of texts there are more, since keys, addresses and digests are most of
an outcome:

| column                         | holds                                                         |
|--------------------------------|---------------------------------------------------------------|
| {"uuid": n}                    | UUIDs, 16 bytes each from byte n of the heap                  |
| {"hex": n, "length": l}        | `l` hexadecimal digits each, as bytes from byte n of the heap |
|                                | (where an ETag is the digest, both columns name the same)     |
| {"head": text, "tails": [v, …]}  | texts that begin alike                                      |
| {"head": text, "like": i}      | the same tails as the i-th such column of the section has     |

`seq` is stored as what it is more than the position: for all rows that is the parcel's name.
"""

from __future__ import annotations

import hashlib
import os.path
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import NoneType
from typing import Any

from signalbox.commands.documented import construct
from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.ledger.columnar import Column, Same, checked, filled
from signalbox.commands.ledger.framing import Heap, damaged, enframe, unframe
from signalbox.commands.outcome import Outcome, Status

_FRAME = b"SBo1"
_FIELDS = tuple(Outcome.model_fields)
_NAMES = set(_FIELDS)
_SCHEMA = hashlib.blake2b(
    repr([(name, field.annotation) for name, field in Outcome.model_fields.items()]).encode(),
    digest_size=8,
).hexdigest()
_STATUS = {status.value: status for status in Status}
_FIRST_HEX = 16
"""Minimum length of hexadecimal texts that are stored as bytes; shorter ones gain little."""


def seal_outcomes(rows: Sequence[tuple[int, Outcome]]) -> bytes:
    """Return the blob of outcomes, each with the position of its command in the parcel.

    Results must be JSON. Raises ValueError for text that is not valid Unicode.
    """
    sections: dict[Any, tuple[list[int], list[dict[str, Any]]]] = {}
    for position, outcome in rows:
        fields = outcome.__dict__
        result = fields["result"]
        key = (fields["op"], None if result is None else (*result,))
        section = sections.get(key)
        if section is None:
            section = sections[key] = ([], [])
        section[0].append(position)
        section[1].append(fields)
    heap = Heap()
    document = {
        "schema": _SCHEMA,
        "sections": [
            _section(at, fields, names, heap) for (_, names), (at, fields) in sections.items()
        ],
    }
    return enframe(_FRAME, document, heap)


def open_outcomes(blob: bytes) -> dict[int, Outcome]:
    """Return the outcomes by the position of their command. Raises LedgerDamaged."""
    document, heap = unframe(_FRAME, blob)
    found: dict[int, Outcome] = {}
    try:
        known = document["schema"] == _SCHEMA
        for section in document["sections"]:
            found.update(zip(section["at"], _outcomes(section, heap, known), strict=True))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged("holds no outcomes") from error
    return found


def announced(message: bytes) -> tuple[list[Outcome], list[str]]:
    """Read what the end of a parcel has published: its outcomes, or else the refs of the commands.
    Raises LedgerDamaged."""
    clock, space, blob = message.partition(b" ")
    if space and clock.isdigit():
        return list(open_outcomes(blob).values()), []
    return [], message.decode().split("\n")


def _section(
    at: list[int], rows: list[dict[str, Any]], names: tuple[str, ...] | None, heap: Heap
) -> dict[str, Any]:
    tails: list[list[str]] = []
    columns: dict[str, Any] = {}
    for name in _FIELDS:
        if name == "seq":
            values = [row[name] - position for row, position in zip(rows, at, strict=True)]
        elif name == "result":
            continue
        else:
            values = [row[name] for row in rows]
        columns[name] = _write(values, heap, tails)
    result = None
    if names is not None:
        results = [row["result"] for row in rows]
        result = {name: _write([each[name] for each in results], heap, tails) for name in names}
    return {"at": at, "outcome": columns, "result": result}


def _outcomes(section: Mapping[str, Any], heap: bytes, known: bool) -> list[Outcome]:
    at, tails = section["at"], list[list[str]]()
    count = len(at)
    columns = {n: _read(c, count, heap, tails) for n, c in section["outcome"].items()}
    base = columns["seq"]
    if isinstance(base, list):
        columns["seq"] = [more + position for more, position in zip(base, at, strict=True)]
    else:
        columns["seq"] = [base.value + position for position in at]
    result = section["result"]
    if result is None:
        columns["result"] = Same(None)
    else:
        inner = {name: _read(column, count, heap, tails) for name, column in result.items()}
        columns["result"] = filled(inner, count)
    if not known:
        return [Outcome.model_validate(row) for row in filled(columns, count)]
    columns["status"] = _each(columns["status"], _STATUS.__getitem__)
    columns["claimed_at"] = _each(columns["claimed_at"], datetime.fromisoformat)
    columns["error"] = _each(
        columns["error"], lambda error: error and ErrorDetail.model_validate(error)
    )
    columns = {name: columns[name] for name in _FIELDS}
    return [construct(Outcome, row, _NAMES) for row in filled(columns, count)]


def _each(column: Column, parse: Any) -> Column:
    if isinstance(column, list):
        return [parse(value) for value in column]
    return Same(parse(column.value))


_SHARED = ({int}, {bool}, {NoneType}, {datetime}, {Status})


def _write(values: list[Any], heap: Heap, tails: list[list[str]]) -> Any:
    kinds = set(map(type, values))
    if kinds == {str}:
        return _write_texts(values, heap, tails)
    # 0.0 and -0.0 are equal, and so would be 1 and True if they stood in one column.
    same = kinds in _SHARED or (kinds == {float} and values[0] != 0)
    if same and len(values) > 1 and values.count(values[0]) == len(values):
        return {"same": values[0]}
    return values


def _write_texts(values: list[str], heap: Heap, tails: list[list[str]]) -> Any:
    count, length = len(values), len(values[0])
    if count > 1 and values.count(values[0]) == count:
        return {"same": values[0]}
    if length >= _FIRST_HEX and set(map(len, values)) == {length}:
        text = "".join(values)
        if length == 36 and all(text[dash::36] == "-" * count for dash in (8, 13, 18, 23)):
            digits = text.replace("-", "")
            if len(digits) == 32 * count and (raw := _unhex(digits)):
                return {"uuid": heap.put([raw])}
        elif length % 2 == 0 and (raw := _unhex(text)):
            return {"hex": heap.put_once(raw), "length": length}
    if count == 1:
        return values
    # Of any texts, not of paths.
    head = os.path.commonprefix([min(values), max(values)])  # noqa: RUF071
    own = [value[len(head) :] for value in values]
    if own in tails:
        return {"head": head, "like": tails.index(own)}
    tails.append(own)
    return {"head": head, "tails": own}


def _unhex(text: str) -> bytes | None:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    # Capitals and spaces are taken too.
    return raw if raw.hex() == text else None


def _read(stored: Any, count: int, heap: bytes, tails: list[list[str]]) -> Column:
    if stored.__class__ is list:
        return checked(stored, count)
    if "same" in stored:
        return Same(stored["same"])
    if "head" in stored:
        head = stored["head"]
        if "like" in stored:
            own = tails[stored["like"]]
        else:
            own = checked(stored["tails"], count)
            tails.append(own)
        return [head + tail for tail in own]
    if "hex" in stored:
        start, length = stored["hex"], stored["length"]
        text = heap[start : start + length // 2 * count].hex()
        return checked([text[i : i + length] for i in range(0, len(text), length)], count)
    start = stored["uuid"]
    text = heap[start : start + 16 * count].hex()
    return checked(
        [
            f"{text[i : i + 8]}-{text[i + 8 : i + 12]}-{text[i + 12 : i + 16]}"
            f"-{text[i + 16 : i + 20]}-{text[i + 20 : i + 32]}"
            for i in range(0, len(text), 32)
        ],
        count,
    )
