"""Points on DynamoDB: a partition for each series and day, and an item that names each such day.

An ingest only adds items, so it needs no look and no condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from adapters.dynamodb.config import read_config
from adapters.dynamodb.failure import dynamodb_errors
from adapters.dynamodb.item import Item
from adapters.dynamodb.key import Layout, day_of, number_bytes, read_number, time_bytes
from adapters.dynamodb.point import points_of
from adapters.dynamodb.point_bulk import store_points
from adapters.dynamodb.table import Table
from adapters.metrics_store import MetricsStore
from adapters.port import AdapterContext, Call, Capability
from adapters.window import page_of, read_from
from commands.error import SignalboxError
from commands.metrics_store import IngestPoints, IngestResult, PointsResult, QueryPoints
from commands.scope import ResourceKind

_RESOLUTION = timedelta(microseconds=1)


def open_adapter(context: AdapterContext) -> MetricsStore:
    """The adapter of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return DynamoDBMetricsStore(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no DynamoDB route can have. No call out."""
    read_config(config, ResourceKind.METRICS_STORE)


class DynamoDBMetricsStore:
    """The port on DynamoDB."""

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.METRICS_STORE)
        self._scope = context.scope
        self._layout = Layout.of(context.scope)
        self._table = Table(config, context.scope)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    def ingest(self, command: IngestPoints, call: Call) -> IngestResult:
        """One request for up to 25 points."""
        answer = self.ingest_many([(command, call)])[0]
        if isinstance(answer, SignalboxError):
            raise answer
        return answer

    def ingest_many(
        self, items: Sequence[tuple[IngestPoints, Call]]
    ) -> list[IngestResult | SignalboxError]:
        """One request for up to 25 points, whichever commands they are of."""
        failed = store_points(self._table, self._scope, self._layout, items)
        return [
            failed.get(number) or IngestResult(points=len(command.points))
            for number, (command, _) in enumerate(items)
        ]

    def query(self, command: QueryPoints, call: Call) -> PointsResult:
        """Reads the points of the range, whatever their labels; for a page of plain points
        little more than the page. At least one request a day that has points."""
        with dynamodb_errors(self._scope):
            return page_of(command, points_of(self._walk(command, call)))

    def close(self) -> None:
        """Nothing to give back: the clients belong to the process."""

    def _walk(self, query: QueryPoints, call: Call) -> Iterator[Item]:
        start, last = read_from(query), query.end - _RESOLUTION
        between = (time_bytes(start), time_bytes(query.end))
        plain = query.aggregation is None and not query.labels
        days = self._table.walk(
            self._layout.days(query.series),
            call,
            between=(number_bytes(day_of(start)), number_bytes(day_of(last))),
        )
        for found in days:
            day = read_number(bytes(found["sk"]["B"]))
            yield from self._table.walk(
                self._layout.points(query.series, day),
                call,
                between=between,
                first=query.limit + 1 if plain else None,
            )
