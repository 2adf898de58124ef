"""The committed OpenAPI document is what the application gives, and a check finds nothing."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # ships no types

from signalbox.gateway.openapi import document

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "openapi.json"


def test_the_committed_document_is_true() -> None:
    again = ".venv/bin/python -m signalbox.gateway.openapi > docs/openapi.json"
    assert COMMITTED.read_text() == document(), f"write it anew: {again}"


def test_it_is_openapi_3_1_and_its_schemas_are_schemas() -> None:
    its = json.loads(document())
    assert its["openapi"].startswith("3.1.")
    for name, schema in its["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema), name


def test_every_write_that_can_be_waited_for_names_its_202() -> None:
    paths = json.loads(document())["paths"]
    assert "202" in paths["/v1/objects/{tenant}/{env}/{key}"]["put"]["responses"]
    assert "202" in paths["/storage/tabular/{table}/upsert"]["post"]["responses"]
    assert "202" not in paths["/v1/queries/{tenant}/{env}/{table}"]["post"]["responses"]
    for methods in paths.values():
        for its in methods.values():
            named = {each["name"] for each in its.get("parameters", ())}
            assert ("202" in its["responses"]) >= ({"Idempotency-Key", "Prefer"} <= named)


def test_every_call_names_its_errors_as_problems() -> None:
    for path, methods in json.loads(document())["paths"].items():
        for method, its in methods.items():
            assert "application/problem+json" in its["responses"]["default"]["content"], path
            assert "422" not in its["responses"], (method, path)
