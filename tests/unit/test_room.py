"""A pool of threads runs as many messages as it has slots, and more only where it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from signalbox.workers.celery.pool import RoomyTaskPool

SLOTS = 2


@pytest.fixture
def go() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_what_a_broker_hands_over_beyond_the_slots_waits(go: threading.Event) -> None:
    pool = RoomyTaskPool(SLOTS)
    begun, ended = threading.Semaphore(0), threading.Semaphore(0)

    def message() -> None:
        begun.release()
        go.wait(60)

    for _ in range(3 * SLOTS):
        pool.on_apply(message, callback=lambda _: ended.release())
    for _ in range(SLOTS):
        assert begun.acquire(timeout=60)
    assert not begun.acquire(blocking=False)
    pool.make_room(1)
    assert begun.acquire(timeout=60)
    assert not begun.acquire(blocking=False)
    go.set()
    for _ in range(3 * SLOTS):
        assert ended.acquire(timeout=60)
    pool.on_stop()


def test_what_waits_when_the_pool_stops_is_not_run(go: threading.Event) -> None:
    pool = RoomyTaskPool(SLOTS)
    ran: list[int] = []
    for _ in range(SLOTS):
        pool.on_apply(go.wait, args=(60,), callback=lambda _: None)
    pool.on_apply(ran.append, args=(1,), callback=lambda _: None)
    threading.Timer(0.1, go.set).start()
    pool.on_stop()
    assert ran == []
    with pytest.raises(RuntimeError):
        pool.on_apply(ran.append, args=(1,), callback=lambda _: None)
