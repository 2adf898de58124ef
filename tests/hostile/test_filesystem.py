"""Files and indexes in which somebody else has written: typed, and nobody waits for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext
from signalbox.commands.error import IntegrityMismatch
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.testing.metrics_caller import MetricsCaller, point
from signalbox.testing.object_caller import ObjectCaller
from signalbox.testing.store_caller import StoreCaller
from signalbox.testing.stream_caller import StreamCaller
from signalbox.testing.table_caller import TableCaller


def caller(kind: ResourceKind, made: type[StoreCaller], tmp_path: Path) -> Any:
    scope = Scope(kind=kind, tenant_id="t_a", env="dev")
    context = AdapterContext(scope, Mode.LAB, {"base_dir": str(tmp_path / "base")})
    store = find_backend(kind, "filesystem").open(context)
    return made(store, "t_a", "dev", DirectoryPayloadStore(tmp_path / "payloads"))


def damage(tmp_path: Path, name: str, statement: str) -> None:
    path = tmp_path / "base/tenants/t_a/dev" / name
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()


def refused(ask: Callable[[], Any]) -> None:
    with pytest.raises(IntegrityMismatch) as error:
        ask()
    assert error.value.backend_type == "filesystem"
    assert error.value.next_step


@pytest.mark.parametrize(
    "assignment",
    ["data = '{'", "data = '[]'", "data = x'00'", 'data = \'{"a":{"$bytes":1}}\'', "seq = 'x'"],
)
def test_a_row_that_is_none(tmp_path: Path, assignment: str) -> None:
    table: TableCaller = caller(ResourceKind.TABULAR_STORE, TableCaller, tmp_path)
    table.upsert("ann", {"n": 1})
    damage(tmp_path, "tables.db", f"UPDATE rows SET {assignment}")  # noqa: S608 - as written above
    refused(lambda: table.get("ann"))
    refused(table.page)


@pytest.mark.parametrize(
    "assignment", ["data = '{'", "time = 'x'", "recorded = 1 << 62", "type = x'00'", "id = x'00'"]
)
def test_an_event_that_is_none(tmp_path: Path, assignment: str) -> None:
    stream: StreamCaller = caller(ResourceKind.EVENT_STREAM, StreamCaller, tmp_path)
    stream.append({"n": 1})
    damage(tmp_path, "events.db", f"UPDATE events SET {assignment}")  # noqa: S608 - as above
    refused(stream.read)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE points SET value = 'x'",
        "UPDATE labels SET name = '{'",
        "UPDATE labels SET name = '[]'",
        "UPDATE labels SET name = '{\"a\":1}'",
    ],
)
def test_a_point_that_is_none(tmp_path: Path, statement: str) -> None:
    metrics: MetricsCaller = caller(ResourceKind.METRICS_STORE, MetricsCaller, tmp_path)
    metrics.ingest(point(1, host="a"))
    damage(tmp_path, "metrics.db", statement)
    refused(metrics.page)


@pytest.mark.parametrize(
    "assignment", ["metadata = '{'", "size = 'x'", "file = ''", "file = '#x'", "modified = 1 << 62"]
)
def test_an_index_of_an_object_that_is_none(tmp_path: Path, assignment: str) -> None:
    objects: ObjectCaller = caller(ResourceKind.OBJECT_STORE, ObjectCaller, tmp_path)
    objects.put("a")
    damage(tmp_path, "objects.db", f"UPDATE objects SET {assignment}")  # noqa: S608 - as above
    refused(lambda: objects.read("a"))


def test_a_fifo_in_the_place_of_a_content_is_not_waited_for(tmp_path: Path) -> None:
    objects: ObjectCaller = caller(ResourceKind.OBJECT_STORE, ObjectCaller, tmp_path)
    objects.put("a", b"x" * 100_000)
    [content] = [path for path in (tmp_path / "base").rglob("*") if path.stat().st_size == 100_000]
    content.unlink()
    os.mkfifo(content)
    refused(lambda: objects.read("a"))
