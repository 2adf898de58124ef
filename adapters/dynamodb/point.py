"""Points as DynamoDB items.

An item is never overwritten, since its key has the `seq`; the highest counts.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from itertools import groupby

from signalbox.adapters.dynamodb.item import Item, keyed
from signalbox.adapters.dynamodb.key import MAX_LABELS_LENGTH, Layout, day_of, split_point
from signalbox.adapters.metrics_page import from_micros
from signalbox.adapters.stored import readable
from signalbox.commands.metrics_store import Point, PointValue, canonical_labels

_DOUBLE = struct.Struct(">d")


def point_item(layout: Layout, point: Point, seq: int) -> Item:
    """Return a point's item. Its value is a double in bytes: DynamoDB's numbers cannot hold one."""
    labels = canonical_labels(point.labels)
    key = layout.point(point.series, point.timestamp, labels, seq)
    item = keyed(key, value={"B": _DOUBLE.pack(point.value)})
    if len(labels.encode()) > MAX_LABELS_LENGTH:
        item["labels"] = {"S": labels}
    return item


def day_item(layout: Layout, point: Point) -> Item:
    """Return the item that says that the series has points on this point's day."""
    return keyed(layout.day(point.series, day_of(point.timestamp)))


def points_of(items: Iterator[Item]) -> Iterator[PointValue]:
    """Yield points by time and then labels, each once, from items in key order.

    Keeps one point in memory; for labels that agree in their first 960 bytes, all points of one
    time.
    """
    for (time, _), run in groupby(items, key=_time_and_labels):
        newest: dict[str, tuple[int, bytes]] = {}
        with readable("a point"):
            for item in run:
                _, spelled, seq = split_point(bytes(item["sk"]["B"]))
                labels = item["labels"]["S"] if "labels" in item else spelled.decode()
                value = (seq, bytes(item["value"]["B"]))
                newest[labels] = max(newest.get(labels, value), value)
            points = [
                PointValue(
                    timestamp=from_micros(time),
                    labels=json.loads(labels),
                    value=_DOUBLE.unpack(newest[labels][1])[0],
                )
                for labels in sorted(newest, key=str.encode)
            ]
        yield from points


def _time_and_labels(item: Item) -> tuple[int, bytes]:
    time, labels, _ = split_point(bytes(item["sk"]["B"]))
    return time, labels[:MAX_LABELS_LENGTH]
