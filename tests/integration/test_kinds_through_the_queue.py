"""Each kind from the command line to its backend and back: on the embedded one, and after
`routes switch` on a cloud's, with the same answers."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from signalbox.adapters.catalogue import CATALOGUE
from signalbox.commands.scope import ResourceKind
from tests.conformance.harness import HARNESSES
from tests.integration.command_line import answer, done, json_lines, options, run
from tests.integration.conftest import RunningStack

Step = tuple[str, bytes]
"""Arguments as a shell takes them, and standard input."""
RANGE = "--from 2026-01-31T12:00:00Z --to 2026-01-31T13:00:00Z"
TYPED = {
    "name": "Ann",
    "age": 36,
    "score": 1.0,
    "active": True,
    "gone": None,
    "tags": ["a", {"b": 1}],
    "photo": {"$bytes": "/wA="},
    "since": {"$timestamp": "2026-01-31T12:00:00.000001Z"},
}
"""A value of each type."""
ROWS = [
    {"key": "bob", "data": {"name": "Bob", "age": 17}},
    {"key": "ann", "data": {}, "if_absent": True},
    {"key": "cy", "data": {"name": "Cy", "age": 40.5}},
    {"key": "dee", "data": {"name": "Dee", "age": "old"}},
]
POINTS = [
    {
        "series": "cpu",
        "timestamp": f"2026-01-31T12:{minute:02}:00Z",
        "value": minute / 2,
        "labels": {"host": "ab"[minute % 2]},
    }
    for minute in range(1, 20)
]
PAYMENTS = [
    {"type": "paid", "id": f"id-{n}", "time": "2026-01-31T12:00:00Z", "data": {"n": n}}
    for n in range(9)
]

OBJECTS: list[Step] = [
    ("object put docs/a.txt -", b"hello"),
    ("object put docs/a.txt - --if-absent", b"again"),
    ("object stat docs/a.txt", b""),
    ("object ls docs/", b""),
    ("object rm docs/a.txt", b""),
    ("object stat docs/a.txt", b""),
]
TABLES: list[Step] = [
    ("table upsert people ann -", json_lines([TYPED])),
    ("table get people ann", b""),
    ("table upsert people ann {} --if-absent", b""),
    ("table upsert people -", json_lines(ROWS)),
    ("table query people --where 'age>=17' --order-by age --desc", b""),
    ("table query people --where name=Bob --allow-scan", b""),
    ("table query people --limit 3", b""),
    ("table upsert places home {}", b""),
    ("table ls", b""),
    ("table ls pl --limit 1", b""),
    ("table rm people bob", b""),
    ("table get people bob", b""),
]
METRICS: list[Step] = [
    ("metrics ingest cpu -0.5 --at 2026-01-31T12:00:00Z --label host=a", b""),
    ("metrics ingest -", json_lines(POINTS)),
    (f"metrics query cpu {RANGE}", b""),
    (f"metrics query cpu {RANGE} --label host=b --limit 3", b""),
    (f"metrics query cpu {RANGE} --agg avg --window 5m --by host", b""),
    ("metrics ls", b""),
    ("metrics ls none", b""),
]
EVENTS: list[Step] = [
    ("events append orders placed '{\"a\": 1.0}' --id one", b""),
    ("events append orders placed --id one", b""),
    ("events append orders placed --expect 7", b""),
    ("events append orders -", json_lines(PAYMENTS)),
    ("events read orders", b""),
    ("events read orders --after 8 --limit 1", b""),
    ("events ls", b""),
]
SCRIPTS = {
    ResourceKind.OBJECT_STORE: OBJECTS,
    ResourceKind.TABULAR_STORE: TABLES,
    ResourceKind.METRICS_STORE: METRICS,
    ResourceKind.EVENT_STREAM: EVENTS,
}
_OF_ITS_OWN = {
    *("op_id", "backend_type", "revision", "recorded_at", "uri", "etag", "modified"),
    *("sha256", "version_id", "next_cursor"),
}
"""What differs from backend to backend, or from one run to the next."""


@pytest.mark.parametrize("kind", list(SCRIPTS))
def test_the_same_script_has_the_same_outcomes_after_a_switch(
    two_workers: RunningStack, kind: ResourceKind
) -> None:
    here = ["-t", f"t_{kind}", "-e", "dev"]
    done("routes", "set", kind, "filesystem", *here, "--reason", "first",
         "-c", f"base_dir={two_workers.data / kind}")  # fmt: skip
    first = play(SCRIPTS[kind], here)
    assert [code for code, _ in first if code] == expected_errors(kind)
    with HARNESSES[kind, cloud_of(kind)]() as harness:
        done("routes", "switch", kind, harness.backend_type, *here, "--reason", "grown",
             *options(harness.config))  # fmt: skip
        assert play(SCRIPTS[kind], here) == first


def test_a_row_and_an_event_come_back_in_the_types_in_which_they_went(
    two_workers: RunningStack,
) -> None:
    here = ["-t", "t_typed", "-e", "dev"]
    for kind in (ResourceKind.TABULAR_STORE, ResourceKind.EVENT_STREAM):
        done("routes", "set", kind, "filesystem", *here, "--reason", "first",
             "-c", f"base_dir={two_workers.data / 'typed'}")  # fmt: skip
    done("table", "upsert", "people", "ann", json.dumps(TYPED), *here)
    done("events", "append", "seen", "ann", json.dumps(TYPED), *here)
    row = answer("table", "get", "people", "ann", *here)["data"]
    [event] = answer("events", "read", "seen", *here)["events"]
    expected = json.dumps(TYPED, sort_keys=True)
    assert json.dumps(row, sort_keys=True) == json.dumps(event["data"], sort_keys=True) == expected
    shown = done("table", "query", "people", "--where", "score=1.0", *here).decode()
    assert "2026-01-31T12:00:00.000001Z" in shown


def cloud_of(kind: ResourceKind) -> str:
    """The first backend of the catalogue that is not the embedded one."""
    for entry in CATALOGUE:
        if entry.kind is kind and not entry.lab_only:
            return entry.backend_type
    pytest.fail(f"{kind} has no backend beside the embedded one")


def expected_errors(kind: ResourceKind) -> list[Any]:
    """Codes of the steps that fail; for lines those of the failed ones."""
    return {
        ResourceKind.OBJECT_STORE: ["ALREADY_EXISTS", "NOT_FOUND"],
        ResourceKind.TABULAR_STORE: ["ALREADY_EXISTS", "ALREADY_EXISTS", "NOT_FOUND"],
        ResourceKind.METRICS_STORE: [],
        ResourceKind.EVENT_STREAM: ["PRECONDITION_FAILED"],
    }[kind]


def play(script: list[Step], here: list[str]) -> list[tuple[str, Any]]:
    """Error code ("" for none) and answer of each step, without what is of its own."""
    played = []
    for arguments, stdin in script:
        result = run(*shlex.split(arguments), *here, "--json", stdin=stdin)
        assert result.returncode in (0, 1), result.stderr.decode()
        assert (result.returncode == 0) == (result.stderr == b""), result.stderr.decode()
        code = json.loads(result.stderr)["error"]["code"] if result.returncode else ""
        played.append((code, _common(json.loads(result.stdout or b"null"))))
    return played


def _common(document: Any) -> Any:
    if isinstance(document, dict):
        return {n: _common(v) for n, v in document.items() if n not in _OF_ITS_OWN}
    return [_common(entry) for entry in document] if isinstance(document, list) else document
