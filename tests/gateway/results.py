"""A result of each command, as a worker would give it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from signalbox.commands.event_stream import AppendResult, EventsResult, ListStreamsResult
from signalbox.commands.metrics_store import IngestResult, ListSeriesResult, PointsResult
from signalbox.commands.object_store import (
    AssetRecord,
    DeleteResult,
    ListResult,
    ObjectInfo,
    PresignedGet,
    PresignedPost,
    PresignedPut,
    PutResult,
    UriResult,
)
from signalbox.commands.parse import known_ops
from signalbox.commands.result import Result
from signalbox.commands.tabular_store import (
    DeleteRowResult,
    ListTablesResult,
    QueryResult,
    Row,
    UpsertResult,
)

THEN = datetime(2026, 1, 31, tzinfo=UTC)
URI, DIGEST = "s3://b/k", "0" * 64
INFO = ObjectInfo(key="k", size=10, etag="e1", modified=THEN)
ROW = Row(key="k", data={"a": 1}, revision=7)
_RESULTS: list[Result] = [
    INFO,
    PutResult(key="k", size=10, etag="e1", sha256=DIGEST, uri=URI),
    DeleteResult(key="k"),
    ListResult(objects=[INFO]),
    PresignedGet(url="https://b/k", expires_at=THEN),
    PresignedPut(url="https://b/k", headers={}, expires_at=THEN),
    PresignedPost(url="https://b/", fields={}, expires_at=THEN),
    UriResult(uri=URI),
    AssetRecord(
        asset_id="a1",
        key="k",
        uri=URI,
        size=10,
        etag="e1",
        content_type="text/plain",
        sha256=None,
        metadata={},
        registered_at=THEN,
    ),
    UpsertResult(table_name="t", key="k", revision=7),
    ROW,
    DeleteRowResult(table_name="t", key="k"),
    QueryResult(rows=[ROW]),
    ListTablesResult(tables=["t"]),
    IngestResult(points=1),
    PointsResult(),
    ListSeriesResult(series=["s"]),
    AppendResult(stream="s", event_id="1", version=1, duplicate=False),
    EventsResult(stream="s", events=[], next_after=0),
    ListStreamsResult(streams=["s"]),
]
_BY_TYPE = {type(each): each.model_dump(mode="json") for each in _RESULTS}
RESULTS: dict[str, dict[str, Any]] = {
    op: _BY_TYPE.get(command.result_type, {}) if command.result_type else {}
    for op, command in known_ops().items()
}
"""The result of each command, by its `op`."""
