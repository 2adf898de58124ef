"""From documents in the order of their ids to points in the order of the port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

from adapters.firestore.message import Message
from adapters.firestore.name import LABELS_MOST, point_seq, point_time
from adapters.window import moment
from commands.metrics_store import PointValue

_RUN = 16 + LABELS_MOST


def points_of(documents: Iterator[Message]) -> Iterator[PointValue]:
    """Each point once, with the value of its highest `seq`, by time and then labels.

    Keeps one point in memory; of points whose labels agree in the first 1,400 bytes of their
    spelling, all of one time.
    """
    for (time, _), run in groupby(documents, key=_place):
        best: dict[bytes, tuple[int, float]] = {}
        for document in run:
            labels = document.fields["labels"].string_value.encode()
            seq = point_seq(document.name)
            if labels not in best or seq > best[labels][0]:
                best[labels] = (seq, document.fields["value"].double_value)
        for labels in sorted(best):
            yield PointValue(
                timestamp=moment(time), labels=json.loads(labels), value=best[labels][1]
            )


def _place(document: Message) -> tuple[int, str]:
    document_id = document.name.rpartition("/")[2]
    # Without the `!` and seq at the end, and without the digest of what is cut off.
    return point_time(document_id), document_id[:-17][16:_RUN]
