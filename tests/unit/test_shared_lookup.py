"""Look-ups of many tasks in few calls; and calls that threads have for a loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from signalbox.commands.error import StateUnavailable
from signalbox.producers.client.loop_inbox import Inbox, Inboxes
from signalbox.producers.client.shared_lookup import SharedLookup


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def test_what_is_asked_during_a_call_goes_into_the_next(threads: ThreadPoolExecutor) -> None:
    calls: list[list[int]] = []
    go_on = threading.Event()

    def read(keys: Sequence[int]) -> list[int]:
        calls.append(list(keys))
        if len(calls) == 1:
            assert go_on.wait(60)
        return [2 * key for key in keys]

    async def main() -> list[int]:
        lookup = SharedLookup(read, threads, Inboxes(), limit=600)
        tasks = [asyncio.create_task(lookup.ask(key)) for key in range(1000)]
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [2 * key for key in range(1000)]
    assert sum(map(len, calls)) == 1000
    assert len(calls) <= 4
    assert max(map(len, calls)) <= 600


def test_each_task_has_an_error_of_its_own_and_the_next_call_is_made(
    threads: ThreadPoolExecutor,
) -> None:
    failing = [True]

    def read(keys: Sequence[int]) -> Sequence[int]:
        if failing[0]:
            raise StateUnavailable("away")
        return keys

    async def main() -> None:
        lookup = SharedLookup(read, threads, Inboxes())
        errors = await asyncio.gather(*map(lookup.ask, range(3)), return_exceptions=True)
        assert all(isinstance(error, StateUnavailable) for error in errors)
        assert len(set(map(id, errors))) == 3
        gone = asyncio.create_task(lookup.ask(1))
        await asyncio.sleep(0)
        gone.cancel()
        failing[0] = False
        assert await lookup.ask(2) == 2

    asyncio.run(main())


def test_posts_of_many_threads_all_arrive_and_a_closed_loop_is_no_error() -> None:
    arrived: list[int] = []
    inboxes = Inboxes()

    async def main() -> Inbox:
        inbox = inboxes.here()
        assert inboxes.here() is inbox

        def post() -> None:
            for number in range(1000):
                inbox.post(arrived.append, number)

        threads = [threading.Thread(target=post) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(arrived) < 4000:
            await asyncio.sleep(0)
        for thread in threads:
            thread.join()
        return inbox

    inbox = asyncio.run(main())
    assert sorted(arrived) == sorted(list(range(1000)) * 4)
    inbox.post(arrived.append, 0)
    assert asyncio.run(main()) is not inbox
