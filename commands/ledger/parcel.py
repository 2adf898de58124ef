"""A parcel: the ordinary commands of one submit on one shard, queue and retention, as one blob.

It never changes. The JSON of the blob is `{"schema": tag, "sections": [{"at": positions, "rows":
table}]}`, with a section for each op, whatever its tenants; see `columnar.py` for tables.
Every field is in it, so it does not depend on the defaults of a release.

Commands were checked when they were made. Behind the tag of this very schema and a right checksum
they are not checked again; under another tag (of a release before or after) each is, as JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from signalbox.commands.error import InvalidCommand, SignalboxError
from signalbox.commands.event_stream import AppendEvent
from signalbox.commands.ledger.columnar import Column, Shape, documents
from signalbox.commands.ledger.framing import Heap, damaged, enframe, unframe
from signalbox.commands.metrics_store import IngestPoints
from signalbox.commands.model import SCHEMA_VERSION, Command
from signalbox.commands.object_store import DeleteObject, PutObject, RegisterObject
from signalbox.commands.parse import known_ops, parse_command
from signalbox.commands.payload import InlinePayload
from signalbox.commands.ref import Ref
from signalbox.commands.routing import ControlCommand
from signalbox.commands.tabular_store import QueryRows, UpsertRow
from signalbox.commands.value import data_size

LARGEST = 64 * 1024
"""Maximum bytes of content of a command in a parcel; a larger one gets a record."""
_FRAME = b"SBp1"
_RULES = 1
"""Part of the schema tag. To be raised when a check of a command becomes stricter without a change
in the types of its fields, or when a table is stored differently."""


@dataclass(frozen=True, slots=True)
class Row:
    """A command of a parcel; its number and mark are the parcel's name plus its position."""

    position: int
    command: Command


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry that another release wrote and that is no valid command for this one."""

    position: int
    ref: Ref
    op: str
    document: dict[str, Any]
    error: SignalboxError


def ordinary(command: Command) -> bool:
    """Return whether a command may be in a parcel.

    It may not if it is about routes, if its content is staged or larger than 64 KiB, or if it has
    text that is not valid Unicode. The caller checks whether it has a permit.
    """
    if isinstance(command, ControlCommand):
        return False
    weigh = _CONTENT.get(type(command))
    return weigh is None or weigh(command) <= LARGEST


def seal(commands: Sequence[Command]) -> bytes:
    """Return the blob of ordinary commands, in this order. Raises InvalidCommand for others."""
    shapes, schema = _schema()
    by_op: dict[str, list[int]] = {}
    rows = [command.__dict__ for command in commands]
    for position, row in enumerate(rows):
        by_op.setdefault(row["op"], []).append(position)
    heap = Heap()
    try:
        sections = [
            {"at": at, "rows": shapes[op].write([rows[position] for position in at], heap)}
            for op, at in by_op.items()
        ]
        return enframe(_FRAME, {"schema": schema, "sections": sections}, heap)
    except (KeyError, ValueError) as error:
        raise InvalidCommand(
            "a command is not one for a parcel", next_step="submit it by itself"
        ) from error


def sift(
    blob: bytes, skip: Collection[int], *, trusting: bool = True
) -> tuple[list[Row], list[Unreadable]]:
    """Return the commands of a blob in their order, and apart from them what cannot be read.

    Positions in `skip` are left out: those commands were left out at the submit and are recorded
    elsewhere, so running one from here would run it twice. Unless `trusting`, each command is
    checked, whatever the blob says of its schema. Raises LedgerDamaged.
    """
    document, heap = unframe(_FRAME, blob)
    rows: list[Row] = []
    unreadable: list[Unreadable] = []
    shapes, schema = _schema()
    try:
        for section in document["sections"]:
            at, table = _positions(section["at"]), section["rows"]
            if document["schema"] == schema:
                shape = _shape(shapes, table)
                commands: list[Command] | None
                if trusting:
                    commands = _filled(shape.read(table, len(at), heap), len(at))
                else:
                    commands = _checked(shape, table, len(at), heap)
                if commands is not None:
                    rows += map(Row, at, commands)
                    continue
            for position, each in zip(at, documents(table, len(at), heap), strict=True):
                try:
                    rows.append(Row(position, parse_command(each)))
                except SignalboxError as error:
                    unreadable.append(_unreadable(position, each, error))
        if skip:
            rows = [row for row in rows if row.position not in skip]
            unreadable = [row for row in unreadable if row.position not in skip]
        if len(document["sections"]) > 1:
            rows.sort(key=attrgetter("position"))
            unreadable.sort(key=attrgetter("position"))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged("is no parcel") from error
    return rows, unreadable


def texts(blob: bytes) -> list[bytes]:
    """Return the JSON of each command in the order of positions, as it was when the blob was
    sealed.

    Raises LedgerDamaged.
    """
    document, heap = unframe(_FRAME, blob)
    shapes, schema = _schema()
    found: list[tuple[int, bytes]] = []
    try:
        for section in document["sections"]:
            at, table = _positions(section["at"]), section["rows"]
            if document["schema"] == schema:
                column = _shape(shapes, table).read(table, len(at), heap)
                its = [row.model_dump_json().encode() for row in _filled(column, len(at))]
            else:
                its = [to_json(row) for row in documents(table, len(at), heap)]
            found += zip(at, its, strict=True)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged("is no parcel") from error
    return [text for _, text in sorted(found)]


def _positions(at: Any) -> list[int]:
    if at.__class__ is not list or not all(p.__class__ is int and p >= 0 for p in at):
        raise ValueError("a section stands at no positions")
    positions: list[int] = at
    return positions


def _shape(shapes: Mapping[str, Shape], table: Mapping[str, Any]) -> Shape:
    op = table["op"]
    return shapes[op["same"] if op.__class__ is dict else op[0]]


def _filled(column: Column, count: int) -> list[Any]:
    return column if isinstance(column, list) else [column.value] * count


def _checked(
    shape: Shape, table: Mapping[str, Any], count: int, heap: bytes
) -> list[Command] | None:
    """Commands of one op, made with all checks; None if some of them do not pass.

    All in one call of the validator, and from the values as they are: as JSON, each would be
    written and parsed for it.
    """
    try:
        rows = _filled(shape.read(table, count, heap, made=False), count)
        return _list_of(shape.model).validate_python(rows)
    except (ValueError, SignalboxError):
        return None


@lru_cache(maxsize=64)
def _list_of(model: type[Any]) -> TypeAdapter[list[Any]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


def _unreadable(position: int, found: dict[str, Any], error: SignalboxError) -> Unreadable:
    ref = "/".join(str(found[name]) for name in ("tenant_id", "env", "op_id"))
    return Unreadable(position, ref, str(found["op"]), found, error)


@lru_cache(maxsize=1)
def _schema() -> tuple[dict[str, Shape], str]:
    """Return the shape of each command that may be in a parcel, and the tag of all shapes."""
    shapes = {
        op: Shape(model)
        for op, model in known_ops().items()
        if not issubclass(model, ControlCommand)
    }
    text = repr((SCHEMA_VERSION, _RULES, sorted((op, s.description()) for op, s in shapes.items())))
    return shapes, hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _put(command: PutObject) -> int:
    payload = command.payload
    if not isinstance(payload, InlinePayload):
        return LARGEST + 1
    return len(payload.data) + _free_text(command.condition.if_match)


def _free_text(text: str | None) -> int:
    """Bytes of a text that is neither limited nor checked to be valid Unicode."""
    if not text:
        return 0
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return LARGEST + 1


def _points(command: IngestPoints) -> int:
    points = command.points
    # Alone it cannot have as much as that.
    return sum(map(_point, points)) if len(points) > 1 else 0


def _point(point: Any) -> int:
    return 100 + len(point.series) + sum(len(n) + len(v) for n, v in point.labels.items())


_CONTENT: dict[type[Command], Callable[[Any], int]] = {
    PutObject: _put,
    DeleteObject: lambda command: _free_text(command.if_match),
    RegisterObject: lambda command: data_size(command.metadata),
    UpsertRow: lambda command: data_size(command.data),
    QueryRows: lambda command: sum(data_size(f.value) for f in command.filters),
    IngestPoints: _points,
    AppendEvent: lambda command: data_size(command.event.data),
}
"""Estimate of a command's bytes, where its fields alone do not keep it small."""
