"""Reads points from Firestore documents, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

from signalbox.adapters.firestore.message import Message, text, typed
from signalbox.adapters.firestore.name import time_and_labels
from signalbox.adapters.metrics_page import from_micros
from signalbox.adapters.stored import readable
from signalbox.commands.metrics_store import PointValue


def points_of(documents: Iterator[Message]) -> Iterator[PointValue]:
    """Yield points by time and then labels, from documents in the order of their ids.

    Keeps one point in memory; for labels that agree in their first 1,400 spelled bytes, all points
    of one time.
    """
    for (time, _), run in groupby(documents, key=_time_and_labels):
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


def _time_and_labels(document: Message) -> tuple[int, str]:
    with readable("a point"):
        return time_and_labels(document.name)


def _labels(document: Message) -> str:
    return text(document.fields, "labels")
