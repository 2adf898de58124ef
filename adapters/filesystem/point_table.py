"""Points in SQLite: small rows, in the order in which queries read them.

The functions run within a transaction of the caller.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import apsw

from signalbox.adapters.metrics_page import from_micros, micros
from signalbox.adapters.stored import UNREADABLE, damaged
from signalbox.commands.documented import construct
from signalbox.commands.metrics_store import Point, PointValue, QueryPoints, canonical_labels

NAME = "metrics.db"
VERSION = 1
# Each series and each set of labels has a number. `value` has no declared type: as REAL it would
# lose the sign of -0.0.
SCHEMA = """
CREATE TABLE series (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
);
CREATE TABLE labels (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
);
CREATE TABLE points (
    series INTEGER NOT NULL,
    time   INTEGER NOT NULL,
    labels INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    value  NOT NULL,
    PRIMARY KEY (series, time, labels)
) WITHOUT ROWID;
"""
LABELS_KEPT: Final = 1024
"""Maximum number of label sets that a query keeps in memory."""

_WRITE = """
INSERT INTO points VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET seq = excluded.seq, value = excluded.value
WHERE excluded.seq >= points.seq
"""
# Cross join: points first, by time, so that only those of one time have to be sorted.
_WALK = """
SELECT time, name, value FROM points CROSS JOIN labels ON number = points.labels
WHERE series = (SELECT number FROM series WHERE name = ?) AND time >= ? AND time < ?{}
ORDER BY time, name
"""


def store(connection: apsw.Connection, points: Iterable[tuple[Point, int]]) -> None:
    """Store points with their `seq`, in this order; the highest `seq` of a point is kept."""
    series, labels = _Numbers(connection, "series"), _Numbers(connection, "labels")
    spelled: dict[frozenset[tuple[str, str]], int] = {}
    rows: list[tuple[int, int, int, int, float]] = []
    for point, seq in points:
        # Spelling the labels would take longer than all else.
        pairs = frozenset(point.labels.items())
        number = spelled.get(pairs)
        if number is None:
            number = spelled[pairs] = labels[canonical_labels(point.labels)]
        rows.append((series[point.series], micros(point.timestamp), number, seq, point.value))
    connection.executemany(_WRITE, rows)


class _Numbers(dict[str, int]):
    """The number of each name in one table; a new name is added."""

    def __init__(self, connection: apsw.Connection, table: str) -> None:
        super().__init__()
        self._connection = connection
        self._find = f"SELECT number FROM {table} WHERE name = ?"  # noqa: S608 - a constant
        self._add = f"INSERT INTO {table} (name) VALUES (?)"  # noqa: S608 - a constant

    def __missing__(self, name: str) -> int:
        found: Any = self._connection.execute(self._find, (name,)).fetchone()
        if found is None:
            self._connection.execute(self._add, (name,))
            found = (self._connection.last_insert_rowid(),)
        number = self[name] = int(found[0])
        return number


def walk(connection: apsw.Connection, query: QueryPoints, start: datetime) -> Iterator[PointValue]:
    """Yield points that may be in the result, each read when it is needed."""
    values: list[Any] = [query.series, micros(start), micros(query.end)]
    conditions = ""
    for name, value in query.labels.items():
        # A name that SQLite's JSON paths cannot express is left to `page_of`.
        if '"' not in name and "\\" not in name:
            conditions += " AND json_extract(name, ?) = ?"
            values += [f'$."{name}"', value]
    labels_of = lru_cache(maxsize=LABELS_KEPT)(_read_labels)
    found: Any = connection.execute(_WALK.format(conditions), values)
    for time, labels, value in found:
        # Not validated again, since it was when it arrived.
        try:
            point = construct(
                PointValue,
                {"timestamp": from_micros(time), "labels": labels_of(labels), "value": value},
            )
        except UNREADABLE as error:
            raise damaged("a point", error) from error
        if type(value) is not float:
            raise damaged("a point", TypeError())
        yield point


def _read_labels(spelling: str) -> dict[str, str]:
    labels: dict[str, str] = json.loads(spelling)
    if not all(type(value) is str for value in labels.values()):
        raise TypeError
    return labels
