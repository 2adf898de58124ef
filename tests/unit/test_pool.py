"""What the pool of processes does when a child is gone."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from billiard import Pipe  # type: ignore[import-untyped]  # it has no types
from celery.concurrency import ALIASES, asynpool, get_implementation

from signalbox.workers.pool import SteadyPool, SteadyTaskPool, use_steady_pools


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


def test_prefork_means_this_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALIASES, "prefork", ALIASES["prefork"])
    use_steady_pools()
    assert get_implementation("prefork") is SteadyTaskPool
