"""Lines to store, and what is found of them afterwards."""

from __future__ import annotations

from typing import Any

from signalbox.commands.scope import ResourceKind
from tests.integration.command_line import answer
from tests.integration.conftest import RunningStack

TENANT = "t_ingest"
HERE = ["-t", TENANT, "-e", "dev"]


def route(running: RunningStack) -> None:
    for kind in (
        ResourceKind.TABULAR_STORE,
        ResourceKind.METRICS_STORE,
        ResourceKind.EVENT_STREAM,
    ):
        running.route_to_folder(TENANT, kind=kind)


def row(number: int, size: int = 10) -> dict[str, Any]:
    return {"key": f"k{number:05}", "data": {"number": number, "text": "x" * size}}


def event(number: int) -> dict[str, Any]:
    return {"type": "counted", "data": {"number": number}}


def numbers_in(table: str) -> list[int]:
    rows = answer("table", "query", table, "--limit", "100000", *HERE)["rows"]
    return [entry["data"]["number"] for entry in rows]


def numbers_of(stream: str) -> list[int]:
    events = answer("events", "read", stream, "--limit", "100000", *HERE)["events"]
    assert [entry["version"] for entry in events] == list(range(1, len(events) + 1))
    return [entry["data"]["number"] for entry in events]
