"""What the pool of processes does when a child is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from billiard import Pipe  # type: ignore[import-untyped]  # it has no types
from celery.concurrency import ALIASES, asynpool, get_implementation
from kombu.asynchronous import Hub, get_event_loop, set_event_loop

from signalbox.workers.celery.pool import SteadyPool, SteadyTaskPool, use_steady_pools


@pytest.fixture
def pipe() -> Iterator[Any]:
    reader, writer = Pipe(duplex=False)
    yield reader, writer
    reader.close()
    writer.close()


def flush(reader: Any, exitcode: int | None) -> list[Any]:
    """The results that came through."""
    results: list[Any] = []
    pool = SteadyPool.__new__(SteadyPool)
    pool._state = 0
    pool._result_handler = SimpleNamespace(on_state_change=results.append)
    child = SimpleNamespace(exitcode=exitcode, outq=SimpleNamespace(_reader=reader))
    pool.process_flush_queues(child)
    return results


@pytest.fixture
def hub() -> Iterator[Any]:
    before = get_event_loop()
    hub: Any = Hub()  # type: ignore[no-untyped-call]  # kombu has no types
    set_event_loop(hub)
    yield hub
    set_event_loop(before)
    hub.close()


@pytest.fixture
def pool(hub: Any) -> Iterator[Any]:
    """Four children that are up."""
    pool = SteadyPool(4, initializer=int, threads=False, proc_alive_timeout=600)
    try:
        pool.register_with_event_loop(hub)
        while pool._waiting_to_start:
            next(hub.loop)
        yield pool
    finally:
        pool.terminate()
        pool.join()


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long Celery was willing to wait for a result, each time."""
    waits: list[float] = []

    def select(readers: Any, *rest: Any, timeout: float) -> Any:
        waits.append(timeout)
        return [], [], []

    monkeypatch.setattr(asynpool, "_select", select)
    return waits


def test_last_result_of_a_dead_child_comes_through(pipe: Any) -> None:
    reader, writer = pipe
    writer.send("done")
    assert flush(reader, exitcode=-9) == ["done"]


def test_dead_child_without_a_result_is_not_waited_for(pipe: Any, listened: list[float]) -> None:
    assert flush(pipe[0], exitcode=-9) == []
    assert listened == []


def test_dead_child_whose_queue_is_closed_ends_nothing(pipe: Any) -> None:
    pipe[0].close()  # billiard closes it when it looks at a dead child for the first time
    assert flush(pipe[0], exitcode=-9) == []


def test_living_child_is_waited_for(pipe: Any, listened: list[float]) -> None:
    assert flush(pipe[0], exitcode=None) == []
    assert len(listened) == 1
    assert listened[0] > 0


def test_no_name_means_a_pool_of_celery_that_has_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, pool in dict(ALIASES).items():
        monkeypatch.setitem(ALIASES, name, pool)
    use_steady_pools()
    own = {"celery.concurrency.prefork:TaskPool", "celery.concurrency.thread:TaskPool"}
    assert not own & set(ALIASES.values())
    assert get_implementation("prefork") is get_implementation("processes") is SteadyTaskPool


def test_after_several_died_at_once_each_child_is_listened_to(hub: Any, pool: Any) -> None:
    children = list(pool._pool)
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
    for child in children:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    while any(child in pool._pool for child in children) or pool._waiting_to_start:
        next(hub.loop)
    pool.register_with_event_loop(hub)  # as Celery does when its broker is back
    assert len(pool._pool) == 4
    for child in pool._pool:
        assert child.exitcode is None
        assert child._sentinel_poll in hub.readers
