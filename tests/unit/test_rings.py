"""Messages that ring for workers: what one asks for, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.commands.ledger.entry import Ticket, Wake
from signalbox.commands.ledger.shard import Shards
from signalbox.commands.wire import DRAIN, MAX_RING, Fault, Ring, read_ring, ring_document
from signalbox.producers.broker.publisher import Publisher

TAGS = Shards(64).tags
QUEUE, OTHER = "object_store.0", "object_store.1"


class App:
    """Celery's, of which messages are kept in place of being sent."""

    class Conf:
        task_always_eager = False

    conf = Conf()

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def send_task(self, name: str, *, kwargs: Any, queue: str, **_: Any) -> None:
        assert name == DRAIN
        assert kwargs["queue"] == queue
        self.sent.append((queue, kwargs["shards"]))


def sent(*wakes: tuple[str, str]) -> list[tuple[str, list[str]]]:
    app: Any = App()
    Publisher(app).publish([Wake(Ticket(shard, DRAIN), queue) for shard, queue in wakes])
    return list(app.sent)


def test_one_message_rings_for_many_shards_of_a_queue() -> None:
    found = sent((TAGS[0], QUEUE), (TAGS[1], OTHER), (TAGS[2], QUEUE))
    assert found == [(QUEUE, [TAGS[0], TAGS[2]]), (OTHER, [TAGS[1]])]


def test_more_shards_than_fit_are_more_messages() -> None:
    found = sent(*((tag, QUEUE) for tag in TAGS))
    assert [len(shards) for _, shards in found] == [MAX_RING] * (64 // MAX_RING)
    assert [tag for _, shards in found for tag in shards] == list(TAGS)


def test_help_that_a_shard_rings_for_is_another_worker() -> None:
    found = sent((TAGS[0], QUEUE), (TAGS[0], QUEUE), (TAGS[1], QUEUE))
    assert found == [(QUEUE, [TAGS[0], TAGS[1]]), (QUEUE, [TAGS[0]])]


def test_a_ring_is_read_as_it_was_sent() -> None:
    ring = Ring(TAGS[:MAX_RING], QUEUE)
    assert read_ring("id", ring_document(ring), 4) == ring


@pytest.mark.parametrize(
    "document",
    [
        {"shards": [], "queue": QUEUE},
        {"shards": TAGS[0], "queue": QUEUE},
        {"shards": [TAGS[0], 1], "queue": QUEUE},
        {"shards": [TAGS[0], [TAGS[1]]], "queue": QUEUE},
        {"shards": ["{routing}"], "queue": QUEUE},
        {"shards": list(TAGS[: MAX_RING + 1]), "queue": QUEUE},
        {"shards": [TAGS[0]], "queue": "object_store.9"},
        {"shards": [TAGS[0]], "queue": QUEUE, "more": 1},
        {"shard": TAGS[0], "queue": QUEUE},
    ],
)
def test_what_is_no_ring_is_a_fault(document: dict[str, Any]) -> None:
    assert isinstance(read_ring("id", document, 4), Fault)
