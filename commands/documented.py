"""Models whose fields are described by the docstring below each of them.

An editor shows that docstring, and JSON Schema gets it as the field's `description`. It is read
from the source when a schema is asked for, so that importing a model costs nothing more; pydantic's
`use_attribute_docstrings` would read it at every import.

`construct` makes a model from checked values without looking at them again.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue

M = TypeVar("M", bound=BaseModel)
_new = object.__new__
_set_fields, _set_names, _set_extra, _set_private = (
    BaseModel.__dict__[slot].__set__
    for slot in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)
"""pydantic's slots, found once: `object.__setattr__` would look for each of them by its name."""


class Documented(BaseModel):
    """Base of the models whose fields have docstrings."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in field_docs(cls).items():
            if name in properties:
                properties[name].setdefault("description", text)
        return schema


def construct(model: type[M], fields: dict[str, Any], names: set[str] | None = None) -> M:
    """Return a model of these fields, which are not validated and must be all of its fields.

    pydantic's `model_construct` also looks for defaults and aliases, which takes eight times as
    long. `names` are the fields that count as set, by default all; models may share the set, since
    whoever copies a model copies it too.
    """
    new = _new(model)
    _set_fields(new, fields)
    _set_names(new, set(fields) if names is None else names)
    _set_extra(new, None)
    _set_private(new, None)
    return new


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings of the model's fields, inherited ones included, by name."""
    docs: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if issubclass(parent, BaseModel) and parent is not BaseModel:
            docs |= _own_docs(parent)
    return docs


@lru_cache(maxsize=1024)
def _own_docs(model: type[BaseModel]) -> dict[str, str]:
    try:
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    except (OSError, TypeError):
        return {}  # installed without its source, or made while running
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - the source of a class is one
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
