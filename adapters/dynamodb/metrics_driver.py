"""Metrics driver for DynamoDB: a partition for each series and day, and an item for each such day.

Each record has its `seq` in its key, so that it is never overwritten: storing needs neither a look
nor a condition.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from signalbox.adapters.batch import RequestSize
from signalbox.adapters.dynamodb.config import read_config
from signalbox.adapters.dynamodb.failure import SERVICE, translate_reason
from signalbox.adapters.dynamodb.item import Item, key_of
from signalbox.adapters.dynamodb.key import (
    Key,
    Layout,
    day_of,
    number_bytes,
    read_number,
    time_bytes,
)
from signalbox.adapters.dynamodb.name_page import names_page
from signalbox.adapters.dynamodb.point import day_item, point_item, points_of
from signalbox.adapters.dynamodb.table import MAX_PUTS, Table
from signalbox.adapters.metrics_driver import MetricsTraits, PointWrite, SeenPoint
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.commands.metrics_store import Point, PointValue, QueryPoints
from signalbox.commands.scope import ResourceKind

_RESOLUTION = timedelta(microseconds=1)


def open_driver(context: AdapterContext) -> DynamoDBMetricsDriver:
    """Open the driver of a route; makes no network call. Raises InvalidRouteConfig."""
    return DynamoDBMetricsDriver(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_config(config, ResourceKind.METRICS_STORE)


class DynamoDBMetricsDriver:
    """A RecordMetricsDriver. Stores up to 25 records with a request.

    Walking takes a request for each day with points.
    """

    service = SERVICE
    traits = MetricsTraits(request=RequestSize(MAX_PUTS, 2**62))

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.METRICS_STORE)
        self.scope = context.scope
        self._layout = Layout.of(context.scope)
        self._table = Table(config, context.scope)

    def record(self, point: Point, seq: int) -> tuple[Key, Item]:
        item = point_item(self._layout, point, seq)
        return key_of(item), item

    def ahead(self, point: Point) -> list[tuple[Key, Item]]:
        """Return the item of the point's day."""
        day = day_item(self._layout, point)
        return [(key_of(day), day)]

    def size(self, record: Item) -> int:  # noqa: ARG002 - their number alone counts
        return 1

    def store(self, writes: Sequence[PointWrite], limit: TimeLimit) -> list[Exception | None]:
        left = self._table.write([write.record for write in writes], limit)
        busy = {key_of(item) for item in left}
        return [
            translate_reason("ProvisionedThroughputExceeded")
            if key_of(write.record) in busy
            else None
            for write in writes
        ]

    def look(self, names: Sequence[Hashable], limit: TimeLimit) -> dict[Hashable, SeenPoint]:
        raise NotImplementedError  # called only after Changed, which `store` never returns here

    @contextmanager
    def walk(
        self, query: QueryPoints, start: datetime, limit: TimeLimit
    ) -> Iterator[Iterator[PointValue]]:
        yield points_of(self._items(query, start, limit))

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        return names_page(self._table, self._layout.days(""), query, limit)

    def close(self) -> None:
        """Do nothing: the clients belong to the process."""

    def _items(self, query: QueryPoints, start: datetime, limit: TimeLimit) -> Iterator[Item]:
        last = query.end - _RESOLUTION
        between = (time_bytes(start), time_bytes(query.end))
        plain = query.aggregation is None and not query.labels
        days = self._table.walk(
            self._layout.days(query.series),
            limit,
            between=(number_bytes(day_of(start)), number_bytes(day_of(last))),
        )
        for found in days:
            day = read_number(bytes(found["sk"]["B"]))
            yield from self._table.walk(
                self._layout.points(query.series, day),
                limit,
                between=between,
                first=query.limit + 1 if plain else None,
            )
