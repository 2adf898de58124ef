"""Makes frozen dataclasses of which a process needs thousands a second."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def make_frozen(cls: type[T], fields: dict[str, Any]) -> T:
    """Return an instance with these fields, which must be all of them, in any order.

    The `__init__` that `dataclass(frozen=True)` makes calls `object.__setattr__` for each field,
    which takes five times as long for twelve of them. The class must have no slots.
    """
    new = object.__new__(cls)
    object.__setattr__(new, "__dict__", fields)
    return new
