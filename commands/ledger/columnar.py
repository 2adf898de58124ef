"""Many models of one class as a table of columns, and back without being checked anew.

A table is a JSON object, field -> column. A column says itself how it is stored, so that another
release reads it without knowing the field:

| column                          | holds                                                        |
|---------------------------------|--------------------------------------------------------------|
| [v, v, …]                       | a value a row, as in the model's JSON                        |
| {"same": v}                     | one value for all rows                                       |
| {"tagged": [v, v, …]}           | as the first, with `$bytes` or `$timestamp` in them          |
| {"raw": n, "sizes": [n, n, …]}  | bytes, one behind the other from byte n of the heap          |
| {"table": {…}}                  | a model a row                                                |
| {"lengths": [n, n, …], "table": {…}}  | a list of models a row, one list behind the other      |
"""

from __future__ import annotations

import base64
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any, Final, Literal, Protocol, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, TypeAdapter

from signalbox.commands.documented import construct
from signalbox.commands.ledger.framing import Heap
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.commands.value import json_form

_PLAIN: Final = {str, int, float, bool, types.NoneType}
_SPAN = TypeAdapter(timedelta)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Same:
    """One value for all rows."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


Column = list[Any] | Same


class Form(Protocol):
    """How a field of one type is stored."""

    def write(self, values: list[Any], heap: Heap) -> Any:
        """Make a column; `values` has one value for each row, and at least one."""

    def read(self, stored: Any, count: int, heap: bytes) -> Column:
        """Return the values of a column. One that is damaged despite its checksum raises
        LookupError, TypeError or ValueError."""


class Scalar:
    """Types that JSON has a form for: text, numbers except floats, times, and enumerations."""

    def __init__(self, parse: Any = None, names: Sequence[str] = ()) -> None:
        self._parse = parse
        self.names = names
        """All possible values, if the field is an enumeration."""

    def write(self, values: list[Any], heap: Heap) -> Any:
        # Neither 1 and True nor 1 and 1.0 stand in one column of these types.
        if len(values) > 1 and values.count(values[0]) == len(values):
            return {"same": values[0]}
        return values

    def read(self, stored: Any, count: int, heap: bytes) -> Column:
        parse = self._parse
        if stored.__class__ is dict:
            value = stored["same"]
            return Same(value if parse is None or value is None else parse(value))
        if parse is None:
            return checked(stored, count)
        return [None if value is None else parse(value) for value in checked(stored, count)]


class Own:
    """Values that may differ although they compare equal in Python (0.0 and -0.0), or that are
    mutable: each row has its own."""

    def write(self, values: list[Any], heap: Heap) -> Any:
        return values

    def read(self, stored: Any, count: int, heap: bytes) -> Column:
        return checked(stored, count)


class Typed:
    """Values of `commands/value.py`; with `wrapped`, each row has an object of them."""

    def __init__(self, wrapped: bool) -> None:
        self._wrapped = wrapped

    def write(self, values: list[Any], heap: Heap) -> Any:
        rows: Iterable[Iterable[Any]] = map(dict.values, values) if self._wrapped else [values]
        if all(_PLAIN.issuperset(map(type, row)) for row in rows):
            return values
        return {"tagged": [json_form(value) for value in values]}

    def read(self, stored: Any, count: int, heap: bytes) -> Column:
        if stored.__class__ is dict:
            return [_untagged(value) for value in checked(stored["tagged"], count)]
        return checked(stored, count)


class Raw:
    """Bytes."""

    def write(self, values: list[Any], heap: Heap) -> Any:
        return {"raw": heap.put(values), "sizes": list(map(len, values))}

    def read(self, stored: Any, count: int, heap: bytes) -> Column:
        return _slices(heap, stored["raw"], checked(stored["sizes"], count))


class One:
    """A model."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def write(self, values: list[Any], heap: Heap) -> Any:
        return {"table": self.shape.write([value.__dict__ for value in values], heap)}

    def read(self, stored: Any, count: int, heap: bytes, *, made: bool = True) -> Column:
        return self.shape.read(stored["table"], count, heap, made=made)


class Many:
    """A list of models."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def write(self, values: list[Any], heap: Heap) -> Any:
        rows = [value.__dict__ for value in chain.from_iterable(values)]
        table = self.shape.write(rows, heap) if rows else {}
        return {"lengths": list(map(len, values)), "table": table}

    def read(self, stored: Any, count: int, heap: bytes, *, made: bool = True) -> Column:
        lengths = checked(stored["lengths"], count)
        total = sum(lengths)
        items = self.shape.read(stored["table"], total, heap, made=made) if total else []
        items = items if isinstance(items, list) else [items.value] * total
        return list(_runs(items, lengths))


class Shape:
    """How the models of one class are stored."""

    def __init__(self, model: type[BaseModel]) -> None:
        if model.__private_attributes__ or model.model_config.get("extra") == "allow":
            raise TypeError(f"{model.__name__} holds more than its fields")
        self.model = model
        self._forms = {
            name: _form(field.annotation, field.metadata)
            for name, field in model.model_fields.items()
        }
        self._names = set(model.model_fields)

    def write(self, rows: Sequence[Mapping[str, Any]], heap: Heap) -> dict[str, Any]:
        """Return the table of models with these fields."""
        return {
            name: form.write([row[name] for row in rows], heap)
            for name, form in self._forms.items()
        }

    def read(
        self, table: Mapping[str, Any], count: int, heap: bytes, *, made: bool = True
    ) -> Column:
        """Return the models of a table; Same if all are one, which is allowed only for immutable
        ones.

        As after validation of their JSON, every field counts as set. Unless `made`, each model is
        left as a dictionary of its fields, for a validator that trusts none of them. One that
        stands for all is validated here, once: ValueError or SignalboxError if it is not valid.
        """
        columns = {
            name: form.read(table[name], count, heap, made=made)
            if isinstance(form, One | Many)
            else form.read(table[name], count, heap)
            for name, form in self._forms.items()
        }
        alike = not any(isinstance(column, list) for column in columns.values())
        rows: list[Any] = filled(columns, 1 if alike else count)
        if made:
            rows = [construct(self.model, row, self._names) for row in rows]
        elif alike:
            rows = [self.model.model_validate(rows[0])]
        return Same(rows[0]) if alike else rows

    def description(self) -> str:
        """Fields, types and limits as text, the same in every process."""
        parts: list[Any] = [self.model.__qualname__]
        for name, field in self.model.model_fields.items():
            form = self._forms[name]
            parts.append((name, field.annotation, field.metadata))
            if isinstance(form, One | Many):
                parts.append(form.shape.description())
            elif isinstance(form, Scalar):
                parts.append(form.names)
        return _ADDRESS.sub("", repr(parts))


def filled(columns: Mapping[str, Column], count: int) -> list[dict[str, Any]]:
    """Return the rows, each with its fields in the order of the columns."""
    template = {n: None if isinstance(c, list) else c.value for n, c in columns.items()}
    rows = [template.copy() for _ in range(count)]
    for name, column in columns.items():
        if isinstance(column, list):
            for row, value in zip(rows, column, strict=True):
                row[name] = value
    return rows


def documents(table: Mapping[str, Any], count: int, heap: bytes) -> list[dict[str, Any]]:
    """Return the rows of a table, of any release, as JSON documents."""
    names = list(table)
    columns = [_json_column(column, count, heap) for column in table.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _json_column(stored: Any, count: int, heap: bytes) -> list[Any]:
    if isinstance(stored, list):
        return checked(stored, count)
    if "same" in stored:
        return [stored["same"]] * count
    if "tagged" in stored:
        return checked(stored["tagged"], count)
    if "raw" in stored:
        sizes = checked(stored["sizes"], count)
        return [base64.b64encode(d).decode() for d in _slices(heap, stored["raw"], sizes)]
    if "lengths" not in stored:
        return documents(stored["table"], count, heap)
    lengths = checked(stored["lengths"], count)
    total = sum(lengths)
    return list(_runs(documents(stored["table"], total, heap) if total else [], lengths))


def checked(values: list[Any], count: int) -> list[Any]:
    """Return a stored list after checking its length."""
    if values.__class__ is not list or len(values) != count:
        raise ValueError("a column has not as many values as there are rows")
    return values


def _slices(heap: bytes, start: int, sizes: Sequence[int]) -> list[bytes]:
    found = []
    for size in sizes:
        found.append(heap[start : start + size])
        start += size
    if start > len(heap):
        raise ValueError("a column is longer than what is there")
    return found


def _runs(items: Sequence[Any], lengths: Iterable[int]) -> Iterator[list[Any]]:
    start = 0
    for length in lengths:
        yield list(items[start : start + length])
        start += length


def _untagged(value: Any) -> Any:
    """`read_value` for values that were checked before."""
    if value.__class__ is dict:
        if len(value) == 1:
            ((name, content),) = value.items()
            if name == "$bytes":
                return base64.b64decode(content)
            if name == "$timestamp":
                return datetime.fromisoformat(content)
        return {name: _untagged(entry) for name, entry in value.items()}
    if value.__class__ is list:
        return [_untagged(entry) for entry in value]
    return value


@lru_cache(maxsize=256)
def _span(text: str) -> timedelta:
    return _SPAN.validate_python(text)


def _form(kind: Any, metadata: Sequence[Any] = ()) -> Form:
    """Return the form for a type. Raises TypeError for one that no field has had so far."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _form(arguments[0], arguments[1:])
    if any(getattr(mark, "func", None) is json_form for mark in metadata):
        return Typed(wrapped=origin is dict)
    if origin in (Union, types.UnionType):
        kinds = [one for one in arguments if one is not types.NoneType]
        if kinds == [InlinePayload, StagedPayload]:
            # What is staged is not for a parcel.
            return One(Shape(InlinePayload))
        if len(kinds) == 1 and isinstance(form := _form(kinds[0]), Scalar):
            return form
    elif kind in (str, int, bool) or origin is Literal:
        return Scalar()
    elif kind in (datetime, AwareDatetime):
        return Scalar(datetime.fromisoformat)
    elif kind is timedelta:
        return Scalar(_span)
    elif kind is float:
        return Own()
    elif kind is bytes:
        return Raw()
    elif origin is list and _is(arguments[0], BaseModel):
        return Many(Shape(arguments[0]))
    elif origin in (dict, list) and all(_is_text(argument) for argument in arguments):
        return Own()
    elif _is(kind, StrEnum):
        members = {member.value: member for member in kind}
        return Scalar(members.__getitem__, sorted(members))
    elif _is(kind, BaseModel):
        return One(Shape(kind))
    raise TypeError(f"no form is known for {kind!r}")


def _is(kind: Any, parent: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, parent)


def _is_text(kind: Any) -> bool:
    return kind is str or (get_origin(kind) is Annotated and get_args(kind)[0] is str)
