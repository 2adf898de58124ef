"""Points as documents: writing them so that the newest value stands, and reading them in order.

A point's document is named by series, time and labels, and holds `labels`, `value` and the `seq`
of the command that wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from adapters.firestore.database import Changed, Database
from adapters.firestore.message import Message, integer, put, text, typed
from adapters.firestore.name import point_place
from adapters.port import Call
from adapters.stored import readable
from adapters.window import moment
from commands.metrics_store import PointValue

LOOKS = 5


def write_points(
    database: Database, documents: Sequence[Message], lease: Call
) -> list[Exception | None]:
    """Store up to 500 points, each unless its document holds a `seq` as high; what became of each.

    They are taken to be new, which costs no look; those that are not are looked at and replaced.
    """
    ends: list[Exception | None] = [Changed()] * len(documents)
    found: dict[str, Message | None] = {}
    for _ in range(LOOKS):
        todo = [number for number, end in enumerate(ends) if isinstance(end, Changed)]
        if found:
            for number in todo:
                there = found[documents[number].name]
                if there is not None and _seq(there) >= _seq(documents[number]):
                    ends[number] = None
            todo = [number for number in todo if ends[number] is not None]
        if not todo:
            break
        writes = [put(documents[number], found.get(documents[number].name)) for number in todo]
        for number, end in zip(todo, database.write_each(writes, lease), strict=True):
            ends[number] = end
        again = [documents[number].name for number in todo if isinstance(ends[number], Changed)]
        found = database.read(again, lease, "seq") if again else {}
    return ends


def points_of(documents: Iterator[Message]) -> Iterator[PointValue]:
    """Points by time and then labels, from documents in the order of their ids.

    Keeps one point in memory; of points whose labels agree in the first 1,400 bytes of their
    spelling, all of one time.
    """
    for (time, _), run in groupby(documents, key=_place):
        with readable("a point"):
            points = [
                PointValue(
                    timestamp=moment(time),
                    labels=json.loads(_labels(document)),
                    value=typed(document.fields, "value", "double_value"),
                )
                for document in sorted(run, key=lambda document: _labels(document).encode())
            ]
        yield from points


def _place(document: Message) -> tuple[int, str]:
    with readable("a point"):
        return point_place(document.name)


def _labels(document: Message) -> str:
    return text(document.fields, "labels")


def _seq(document: Message) -> int:
    return integer(document.fields, "seq")
