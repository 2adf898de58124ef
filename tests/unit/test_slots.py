"""A tenant's share of a process' slots, with a clock of the test's own."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from signalbox.commands.error import SlotsTaken
from signalbox.workers.execution import slots as slots_module
from signalbox.workers.execution.slot_board import MAX_SLOTS, Board
from signalbox.workers.execution.slots import SLOW_SECONDS, Slots
from tests.unit.test_breaker import Clock, item


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(slots_module, "time", clock)
    return clock


@pytest.fixture
def slots() -> Slots:
    slots = Slots()
    slots.board.number = 4
    return slots


def hold(slots: Slots, stack: ExitStack, *tenants: str) -> list[bool]:
    """Begin a message of these tenants; which of their commands may run."""
    slot = stack.enter_context(slots.taken())
    items = [item(tenant=tenant) for tenant in tenants]
    ready, back = slots.share(slot, items)
    assert len(ready) + len(back) == len(items)
    for end in back:
        assert isinstance(end.error, SlotsTaken)
        assert end.error.retry_after
    return [each in ready for each in items]


def test_one_tenant_alone_has_all_slots_and_others_those_that_replace_slow_ones(
    slots: Slots, clock: Clock
) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            assert hold(slots, stack, "t_a") == [True]
        assert slots.slow() == 0
        clock.now += SLOW_SECONDS + 1
        assert slots.slow() == 4
        with ExitStack() as extra:
            assert hold(slots, extra, "t_a") == [False]
            assert hold(slots, extra, "t_b", "t_a") == [True, False]
        assert hold(slots, stack, "t_b") == [True]
    assert slots.slow() == 0


def test_a_slot_that_ends_is_anybodys_again(slots: Slots, clock: Clock) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            hold(slots, stack, "t_a")
        clock.now += SLOW_SECONDS + 1
        assert hold(slots, stack, "t_a") == [True]


def test_what_is_quick_has_no_share(slots: Slots, clock: Clock) -> None:
    with ExitStack() as stack:
        assert [hold(slots, stack, "t_a") for _ in range(8)] == [[True]] * 8


def test_a_process_of_one_message_has_no_share(clock: Clock) -> None:
    slots = Slots()
    with ExitStack() as stack:
        hold(slots, stack, "t_a")
        clock.now += SLOW_SECONDS + 1
        assert hold(slots, stack, "t_a") == [True]


def test_the_processes_of_a_pool_share_one_board(clock: Clock) -> None:
    board = Board()
    board.number = 2
    children = [Slots(board, place) for place in range(4)]
    with ExitStack() as stack:
        for child in children[:2]:
            hold(child, stack, "t_a")
        clock.now += SLOW_SECONDS + 1
        assert [child.slow() for child in children] == [2] * 4
        assert hold(children[2], stack, "t_a", "t_b") == [False, True]
        # One that died leaves its place to the process that follows it.
        assert Slots(board, 0).slow() == 1


def test_what_a_fork_notes_is_seen_by_its_parent() -> None:
    board = Board()
    board.number = 2
    child = os.fork()
    if child == 0:
        board.take(1, 5.0, [7, 8])
        os._exit(0)
    os.waitpid(child, 0)
    assert board.held() == [(5.0, frozenset({7, 8}))]


def test_a_pool_larger_than_the_board_runs_all_the_same(clock: Clock) -> None:
    board = Board()
    with ExitStack() as stack:
        assert hold(Slots(board, MAX_SLOTS), stack, "t_a") == [True]
