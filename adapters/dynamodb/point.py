"""Points as items, which nothing overwrites: each has the `seq` of its command in its key, and of
a point's items the one with the highest counts.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from itertools import groupby

from signalbox.adapters.dynamodb.item import Item, keyed
from signalbox.adapters.dynamodb.key import MAX_LABELS_LENGTH, Layout, day_of, split_point
from signalbox.adapters.stored import readable
from signalbox.adapters.window import from_micros
from signalbox.commands.metrics_store import Point, PointValue, canonical_labels

_DOUBLE = struct.Struct(">d")


def point_item(layout: Layout, point: Point, seq: int) -> Item:
    """The item of a point: its value as a double, which DynamoDB's numbers cannot hold."""
    labels = canonical_labels(point.labels)
    key = layout.point(point.series, point.timestamp, labels, seq)
    item = keyed(key, value={"B": _DOUBLE.pack(point.value)})
    if len(labels.encode()) > MAX_LABELS_LENGTH:
        item["labels"] = {"S": labels}
    return item


def day_item(layout: Layout, point: Point) -> Item:
    """The item that says that the series has points on this one's day."""
    return keyed(layout.day(point.series, day_of(point.timestamp)))


def points_of(items: Iterator[Item]) -> Iterator[PointValue]:
    """Points by time and then labels, each once, from items in the order of their keys.

    Keeps one point in memory; of points whose labels agree in their first 960 bytes, all of one
    time.
    """
    for (time, _), run in groupby(items, key=_place):
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


def _place(item: Item) -> tuple[int, bytes]:
    time, labels, _ = split_point(bytes(item["sk"]["B"]))
    return time, labels[:MAX_LABELS_LENGTH]
