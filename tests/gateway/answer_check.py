"""Compares answers with the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # ships no types

from signalbox.gateway.openapi import document

JSON_TYPES = ("application/json", "application/problem+json")


class AnswerCheck:
    """Raises where an answer is none that the document has; it may have no field beside either,
    although a client has to expect fields of later releases."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = json.loads(document())
        self.done: set[str] = set()
        """Ids of the operations that were answered with 200."""
        self._schemas = {
            name: _closed(schema) for name, schema in self.document["components"]["schemas"].items()
        }
        # The more of a path is literal, the more it says.
        paths = sorted(self.document["paths"], key=lambda path: path.count("{"))
        self._paths = [(re.compile(_pattern(path)), path) for path in paths]

    def check(
        self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Compare one answer. Does nothing for a path that the document does not have."""
        operation = self._operation(method.lower(), path)
        if operation is None:
            return
        responses = operation["responses"]
        described = responses.get(str(status), responses["default"] if status >= 400 else None)
        where = f"{method} {path} -> {status}"
        assert described is not None, f"{where} is not in the document"
        contents = described.get("content", {})
        media_type = headers.get("content-type", "").partition(";")[0]
        if method != "HEAD" and (contents or body):
            assert media_type in contents or "*/*" in contents, f"{where}: {media_type}"
        if method != "HEAD" and media_type in contents and media_type in JSON_TYPES:
            schema = contents[media_type]["schema"]
            whole = {**schema, "components": {"schemas": self._schemas}}
            jsonschema.Draft202012Validator(whole).validate(json.loads(body))
        if status == 200:
            self.done.add(operation["operationId"])

    def on_response(self, response: httpx.Response) -> None:
        """Check what an httpx client was answered; content that is no JSON is not read."""
        is_json = response.headers.get("content-type") in JSON_TYPES
        body = response.read() if is_json else b""
        request = response.request
        path = request.url.raw_path.decode().partition("?")[0]
        self.check(request.method, path, response.status_code, response.headers, body)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for pattern, template in self._paths:
            operation = self.document["paths"][template].get(method)
            if operation is not None and pattern.fullmatch(path):
                its: dict[str, Any] = operation
                return its
        return None


@cache
def answer_check() -> AnswerCheck:
    """The one of this process: the document takes most of a second."""
    return AnswerCheck()


def _pattern(path: str) -> str:
    return "".join(
        (".+" if part == "{key}" and "/rows/" not in path else "[^/]+")
        if part.startswith("{")
        else re.escape(part)
        for part in re.split(r"(\{\w+\})", path)
    )


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {"additionalProperties": False} | schema if "properties" in schema else schema
