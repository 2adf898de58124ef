"""Makes a typed client in Python of the OpenAPI document, as generators do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

HEAD = '''"""Made of the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict, final
from urllib.parse import quote

import httpx


class Client:
    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def _call(
        self, method: str, path: str, places: list[str], sent: dict[str, dict[str, Any]], body: Any
    ) -> httpx.Response:
        given: dict[str, Any] = {
            where: {name: value for name, value in named.items() if value is not None}
            for where, named in sent.items()
        }
        if body is not None:
            given["content" if isinstance(body, bytes) else "json"] = body
        url = path.format(*[quote(place, safe="") for place in places])
        response = self._http.request(method, url, **given)
        response.raise_for_status()
        return response
'''
_PLAIN = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}


def source_of(document: Schema) -> str:
    """The source of the module, with a `Client` that has a method for each operation."""
    methods = [
        line
        for path, its in document["paths"].items()
        for method, operation in its.items()
        for line in _method(method, path, operation)
    ]
    schemas = document["components"]["schemas"].items()
    types = [line for name, schema in schemas for line in _type(name, schema)]
    return "\n".join([HEAD, *methods, "", "", *types, ""])


def _method(method: str, path: str, operation: Schema) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    places = re.findall(r"\{(\w+)\}", path)
    named = {each["name"]: _identifier(each["name"]) for each in parameters}
    optional = [each for each in parameters if each["in"] != "path"]
    arguments = [f"{name}: str" for name in places]
    takes = "requestBody" in operation
    arguments += ["body: Any"] if takes else []
    arguments += [f"{named[each['name']]}: str | int | None = None" for each in optional]
    sent = {
        where: ", ".join(
            f"{each['name']!r}: {value}"
            for each in optional
            if each["in"] == of
            for value in [named[each["name"]]]
        )
        for where, of in (("params", "query"), ("headers", "header"))
    }
    stars = ["*"] if arguments else []
    answer, read = _answer(operation["responses"])
    yield ""
    signature = ", ".join(["self", *stars, *arguments])
    yield f"    def {operation['operationId']}({signature}) -> {answer}:"
    yield "        sent: dict[str, dict[str, Any]] = {"
    yield f"            'params': {{{sent['params']}}}, 'headers': {{{sent['headers']}}}"
    yield "        }"
    template = re.sub(r"\{\w+\}", "{}", path)
    call = f"self._call({method.upper()!r}, {template!r}, [{', '.join(places)}], sent, "
    yield f"        response = {call}{'body' if takes else 'None'})"
    if read == ".json()":
        yield f"        document: {answer} = response.json()"
        yield "        return document"
    else:
        yield f"        return response{read}"


def _answer(responses: Schema) -> tuple[str, str]:
    """The type of a success, and what makes it of an `httpx.Response`."""
    content = responses["200"].get("content")
    if content is None:
        return "httpx.Headers", ".headers"
    if "application/json" not in content:
        return "bytes", ".content"
    return _expression(content["application/json"]["schema"]), ".json()"


def _type(name: str, schema: Schema) -> Iterator[str]:
    yield ""
    if "properties" not in schema:
        yield f"{name} = {_expression(schema)}"
        return
    yield "@final"
    yield f"class {name}(TypedDict):"
    for field, its in schema["properties"].items():
        type_ = _expression(its)
        there = field in schema.get("required", ())
        yield f"    {field}: {type_ if there else f'NotRequired[{type_}]'}"


def _expression(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if (every := schema.get("anyOf") or schema.get("oneOf")) is not None:
        return " | ".join(dict.fromkeys(map(_expression, every)))
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    kind = schema.get("type")
    if kind == "array":
        return f"list[{_expression(schema.get('items', {}))}]"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"dict[str, {_expression(values) if isinstance(values, dict) else 'Any'}]"
    return _PLAIN.get(str(kind), "Any")


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name).lower()
