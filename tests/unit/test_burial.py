"""Refused messages share their way to the dead letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from signalbox.commands.error import InvalidCommand
from signalbox.commands.refused_message import refusal
from signalbox.commands.wire import Fault
from signalbox.workers.celery import refused_messages as burial
from signalbox.workers.celery.refused_messages import Burials


class Hub:
    """A loop that runs what it was given when it is told to."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []

    def call_soon(self, call: Callable[[], None]) -> None:
        self.later.append(call)

    def call_later(self, _: float, call: Callable[[], None]) -> None:
        self.later.append(call)

    def turn(self) -> None:
        calls, self.later = self.later, []
        for call in calls:
            call()


class Room:
    """Counts what is kept and what is acknowledged."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int]] = []
        self.hub = Hub()
        self.burials = Burials(self.bury, (OSError,))
        self.burials.begin(self.hub)

    def bury(self, faults: Sequence[Fault]) -> None:
        self.steps.append(("kept", len(faults)))

    def ack_log_error(self, *_: Any) -> None:
        self.steps.append(("acknowledged", 1))

    def acknowledge(self, tags: Sequence[str]) -> None:
        self.steps.append(("acknowledged", len(tags)))

    def take(self, size: int = 10, *, aside: bool = True) -> None:
        channel = SimpleNamespace()
        if aside:
            channel = SimpleNamespace(set_aside=lambda _: None, acknowledge=self.acknowledge)
        message = SimpleNamespace(
            channel=channel, delivery_tag="tag", ack_log_error=self.ack_log_error
        )
        self.burials.take(message, refusal(InvalidCommand("bad"), b"x" * size))


@pytest.fixture
def room() -> Room:
    return Room()


def test_a_flood_is_kept_in_few_round_trips_and_acknowledged_behind_each(room: Room) -> None:
    for _ in range(250):
        room.take()
    room.hub.turn()
    assert room.steps == [
        (step, size) for size in (100, 100, 50) for step in ("kept", "acknowledged")
    ]


def test_what_a_broker_with_a_fixed_prefetch_has_sent_is_kept_in_the_same_turn(room: Room) -> None:
    for _ in range(3):
        room.take(aside=False)
    assert room.steps == []
    room.hub.turn()
    assert room.steps == [("kept", 3), *[("acknowledged", 1)] * 3]


def test_large_ones_do_not_gather_in_memory(room: Room) -> None:
    for _ in range(5):
        room.take(burial.MAX_BYTES // 2)
    assert room.steps == [("kept", 2), ("acknowledged", 2)] * 2


def test_those_of_a_lost_connection_are_left_to_the_broker(room: Room) -> None:
    room.take()
    room.burials.forget()
    room.hub.turn()
    assert room.steps == []


def test_those_that_came_before_the_loop_began_are_kept_when_it_has(room: Room) -> None:
    lost, room.hub = room.hub, Hub()
    room.take()
    assert len(lost.later) == 1
    room.burials.begin(room.hub)
    room.hub.turn()
    assert room.steps == [("kept", 1), ("acknowledged", 1)]
