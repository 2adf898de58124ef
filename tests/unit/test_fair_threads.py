"""The threads on which commands run are shared out among tenants."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from signalbox.workers.execution import fair_threads as crew
from signalbox.workers.execution.fair_threads import FairThreads

THREADS = 4


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Set at the end, so that what hangs on it ends."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def threads(hanging: threading.Event) -> Iterator[FairThreads]:
    running = FairThreads(THREADS)
    yield running
    hanging.set()
    running.close()


def wait_for(event: threading.Event, threads: FairThreads) -> None:
    """As who waits for calls does: asking for threads in between."""
    until = time.monotonic() + 60
    while not event.wait(0.01):
        threads.look()
        assert time.monotonic() < until


def test_a_tenant_whose_calls_hang_leaves_threads_for_others(
    threads: FairThreads, hanging: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "SLOW_SECONDS", 0.05)
    for _ in range(50):
        threads.submit("t_hangs", lambda: hanging.wait(60))
    for tenant in ("t_a", "t_b", "t_a", "t_c"):
        done = threading.Event()
        threads.submit(tenant, done.set)
        wait_for(done, threads)
    assert sum(job.tenant == "t_hangs" for job in threads._running) == THREADS


def test_two_tenants_whose_calls_hang_leave_threads_for_a_third(
    threads: FairThreads, hanging: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "SLOW_SECONDS", 0.05)
    for tenant in ("t_hangs", "t_too"):
        for _ in range(50):
            threads.submit(tenant, lambda: hanging.wait(60))
    done = threading.Event()
    threads.submit("t_a", done.set)
    wait_for(done, threads)


def test_a_few_calls_do_not_wait_for_all_those_of_another_tenant(threads: FairThreads) -> None:
    begun, go = threading.Semaphore(0), threading.Event()
    order: list[str] = []

    def first() -> None:
        begun.release()
        go.wait(60)

    for _ in range(THREADS):
        threads.submit("t_many", first)
    for _ in range(THREADS):
        begun.acquire()
    for _ in range(100):
        threads.submit("t_many", lambda: order.append("many"))
    done = threading.Event()

    def few() -> None:
        order.append("few")
        done.set()

    threads.submit("t_few", few)
    go.set()
    wait_for(done, threads)
    assert order.index("few") < 2 * THREADS


def test_a_tenant_alone_has_all_threads_and_no_more(
    threads: FairThreads, hanging: threading.Event
) -> None:
    begun = threading.Semaphore(0)

    def call() -> None:
        begun.release()
        hanging.wait(60)

    for _ in range(3 * THREADS):
        threads.submit("t_a", call)
    for _ in range(THREADS):
        assert begun.acquire(timeout=60)
    assert not begun.acquire(blocking=False)
    hanging.set()
    for _ in range(2 * THREADS):
        assert begun.acquire(timeout=60)


def test_a_call_that_raises_takes_its_thread_from_nobody(threads: FairThreads) -> None:
    for _ in range(3 * THREADS):
        threads.submit("t_a", lambda: [][0])
    done = threading.Event()
    threads.submit("t_a", done.set)
    wait_for(done, threads)
    assert len(threads._running) <= 1
