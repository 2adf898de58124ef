"""Points as documents: reading them in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

from signalbox.adapters.firestore.message import Message, text, typed
from signalbox.adapters.firestore.name import point_place
from signalbox.adapters.stored import readable
from signalbox.adapters.window import from_micros
from signalbox.commands.metrics_store import PointValue


def points_of(documents: Iterator[Message]) -> Iterator[PointValue]:
    """Points by time and then labels, from documents in the order of their ids.

    Keeps one point in memory; of points whose labels agree in the first 1,400 bytes of their
    spelling, all of one time.
    """
    for (time, _), run in groupby(documents, key=_place):
        with readable("a point"):
            points = [
                PointValue(
                    timestamp=from_micros(time),
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
