"""What only DynamoDB has: partitions by day and by block, traces that expire, keys of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.dynamodb.key import BLOCK
from signalbox.adapters.port import AdapterContext
from signalbox.commands.error import Misconfigured, NotFound, TooLarge
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.testing.harness import Harness
from signalbox.testing.metrics_caller import DAY, MetricsCaller, point
from signalbox.testing.stream_caller import StreamCaller
from signalbox.testing.table_caller import TableCaller
from tests.conformance.dynamodb_harness import dynamodb_harness

AnyStoreCaller = TypeVar("AnyStoreCaller", TableCaller, MetricsCaller, StreamCaller)
KINDS = {
    TableCaller: ResourceKind.TABULAR_STORE,
    MetricsCaller: ResourceKind.METRICS_STORE,
    StreamCaller: ResourceKind.EVENT_STREAM,
}


class DynamoDBTable:
    """One table on a server, a tenant's callers there, and the items behind them."""

    def __init__(self, harness: Harness, tenant: str, payloads: Path) -> None:
        self.config, self.unusable_config = harness.config, harness.unusable_config
        self._tenant = tenant
        self._payloads = DirectoryPayloadStore(payloads)
        self.client: Any = boto3.client(
            "dynamodb",
            endpoint_url=harness.config["endpoint_url"],
            region_name=harness.config["region"],
            aws_access_key_id="conformance",
            aws_secret_access_key="conformance",
        )

    def caller(self, caller: type[AnyStoreCaller], **extra: Any) -> AnyStoreCaller:
        kind = KINDS[caller]
        scope = Scope(kind=kind, tenant_id=self._tenant, env="dev")
        context = AdapterContext(scope, Mode.LAB, self.config | extra)
        store = find_backend(kind, "dynamodb").open(context)
        return caller(store, self._tenant, "dev", self._payloads)

    def items(self) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("scan").paginate(TableName=self.config["table"])
        found: list[dict[str, Any]] = [item for page in pages for item in page["Items"]]
        return [item for item in found if item["pk"]["S"].startswith(f"{self._tenant}/dev/")]


@pytest.fixture(scope="module")
def server() -> Iterator[Harness]:
    with ExitStack() as stack:
        yield stack.enter_context(dynamodb_harness())


@pytest.fixture
def table(server: Harness, tenant: str, tmp_path: Path) -> DynamoDBTable:
    return DynamoDBTable(server, tenant, tmp_path)


ASKED: list[Callable[[DynamoDBTable], Any]] = [
    lambda table: table.caller(TableCaller, **table.unusable_config).get("k"),
    lambda table: table.caller(TableCaller, **table.unusable_config).rows(),
    lambda table: table.caller(MetricsCaller, **table.unusable_config).ingest(point()),
    lambda table: table.caller(MetricsCaller, **table.unusable_config).points(),
    lambda table: table.caller(StreamCaller, **table.unusable_config).append(),
    lambda table: table.caller(StreamCaller, **table.unusable_config).events(),
]


@pytest.mark.parametrize("ask", ASKED)
def test_a_table_that_is_not_there_is_misconfigured(
    table: DynamoDBTable, ask: Callable[[DynamoDBTable], Any]
) -> None:
    with pytest.raises(Misconfigured, match="the table does not exist") as caught:
        ask(table)
    assert caught.value.backend_type == "dynamodb"


def test_a_deleted_row_leaves_a_trace_that_expires_in_days(table: DynamoDBTable) -> None:
    rows = table.caller(TableCaller)
    rows.upsert("ann", {"a": 1})
    rows.delete("ann")
    [trace] = table.items()
    left = int(trace["expires"]["N"]) - time.time()
    assert 6 * 86400 < left <= 7 * 86400
    assert "row" not in trace
    rows.upsert("ann", {"a": 2})
    [item] = table.items()
    assert "expires" not in item


def test_a_walk_goes_on_behind_many_deleted_rows(table: DynamoDBTable) -> None:
    rows = table.caller(TableCaller)
    rows.fill({f"k{n:03}": {"n": n} for n in range(60)})
    for n in range(5, 55):
        rows.delete(f"k{n:03}")
    assert rows.keys(limit=4) == [f"k{n:03}" for n in (*range(5), *range(55, 60))]
    with pytest.raises(NotFound):
        rows.get("k010")


def test_large_rows_are_paged_by_the_server_too(table: DynamoDBTable) -> None:
    rows = table.caller(TableCaller)
    for n in range(6):
        rows.upsert(f"k{n}", {"x": "x" * 390_000})
    assert rows.keys() == [f"k{n}" for n in range(6)]
    assert rows.keys(descending=True) == [f"k{n}" for n in reversed(range(6))]
    with pytest.raises(TooLarge):
        rows.upsert("k", {"x": "x" * 410_000})


def test_batches_and_single_writes_on_the_same_rows_leave_the_newest(table: DynamoDBTable) -> None:
    rows = table.caller(TableCaller)
    turns = [[rows.item(f"k{n}", {"turn": turn}) for n in range(20)] for turn in range(6)]
    with ThreadPoolExecutor(6) as pool:
        batches = pool.map(rows.store.upsert_many, turns[:3])
        singles = pool.map(lambda item: rows.store.upsert(*item), [i for t in turns[3:] for i in t])
        assert all(answer.revision for batch in batches for answer in batch)  # type: ignore[union-attr]
        assert all(answer.revision for answer in singles)
    assert [row.data["turn"] for row in rows.rows()] == [5] * 20


def test_a_series_is_read_across_days_in_order(table: DynamoDBTable) -> None:
    series = table.caller(MetricsCaller)
    times = [DAY + timedelta(hours=hours) for hours in (-9000, -1, 0, 23, 24, 47, 9000)]
    times += [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)]
    series.ingest(*(point(float(n), at) for n, at in enumerate(times)))
    whole = {"start": datetime(1, 1, 1, tzinfo=UTC), "end": datetime.max.replace(tzinfo=UTC)}
    assert [found.timestamp for found in series.points(limit=2, **whole)] == sorted(times)
    assert series.values() == [2.0, 3.0]
    assert series.values(start=DAY + timedelta(hours=23), end=DAY + timedelta(hours=47)) == [3, 4]


def test_a_point_that_came_again_counts_once_by_its_newest_value(table: DynamoDBTable) -> None:
    series = table.caller(MetricsCaller)
    old, new = series.call(), series.call()
    series.ingest(point(2.0, host="a"), call=new)
    series.ingest(point(1.0, host="a"), call=old)
    series.ingest(point(2.0, host="a"), call=new)
    assert series.values() == [2.0]
    [window] = series.windows("count")
    assert window.count == 1


def test_labels_over_the_length_of_a_key_are_points_of_their_own(table: DynamoDBTable) -> None:
    series = table.caller(MetricsCaller)
    series.ingest(*(point(n, x="x" * 1000 + end) for n, end in ((2.0, "b"), (1.0, "a"))))
    assert series.values() == [1.0, 2.0]
    assert series.points()[0].labels == {"x": "x" * 1000 + "a"}


def test_a_stream_goes_on_in_its_next_partition(table: DynamoDBTable) -> None:
    stream = table.caller(StreamCaller)
    stream.append()
    head = next(item for item in table.items() if "/stream/" in item["pk"]["S"])
    put = head | {"version": {"N": str(BLOCK - 3)}}
    table.client.put_item(TableName=table.config["table"], Item=put)
    answers = stream.store.append_many([stream.item({"n": n}) for n in range(8)])
    versions = [answer.version for answer in answers]  # type: ignore[union-attr]
    assert versions == list(range(BLOCK - 2, BLOCK + 6))
    for limit in (1, 3, 1000):
        found = stream.events(after=BLOCK - 3, limit=limit)
        assert [event.version for event in found] == versions
    assert stream.events(after=BLOCK)[0].version == BLOCK + 1
    partitions = {i["pk"]["S"].rpartition("\x1f")[2] for i in table.items() if "data" in i}
    assert partitions == {"0", "1"}


def test_a_reader_waits_before_an_event_that_it_cannot_see_yet(table: DynamoDBTable) -> None:
    stream = table.caller(StreamCaller)
    stream.store.append_many([stream.item({"n": n}) for n in range(3)])
    second = next(i for i in table.items() if "data" in i and i["version"]["N"] == "2")
    table.client.delete_item(
        TableName=table.config["table"], Key={name: second[name] for name in ("pk", "sk")}
    )
    assert [event.version for event in stream.read().events] == [1]
    assert (stream.read(after=1).events, stream.read(after=1).next_after) == ([], 1)
    table.client.put_item(TableName=table.config["table"], Item=second)
    assert [event.version for event in stream.read(after=1).events] == [2, 3]


def test_reads_that_may_lag_are_asked_for_as_such(table: DynamoDBTable) -> None:
    rows = table.caller(TableCaller, consistent_read=False)
    rows.upsert("ann", {"a": 1})
    assert (rows.data("ann"), rows.keys()) == ({"a": 1}, ["ann"])
