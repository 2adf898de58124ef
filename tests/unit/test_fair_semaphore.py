"""Who gets a permit, and when."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from signalbox.gateway.fair_semaphore import FairSemaphore
from signalbox.producers.client.loop_inbox import Inboxes


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_tenant_has_at_most_its_share_and_waits_in_order() -> None:
    async def main() -> None:
        permits, served = FairSemaphore(4, Inboxes()), list[int]()

        async def sit(number: int) -> None:
            await permits.acquire("t_a")
            served.append(number)

        tasks = [asyncio.create_task(sit(number)) for number in range(5)]
        await settle()
        assert served == [0, 1]
        await permits.acquire("t_b")  # there is room for others
        permits.release("t_a")
        await settle()
        assert served == [0, 1, 2]
        for _ in range(4):
            permits.release("t_a")
            await settle()
        assert served == [0, 1, 2, 3, 4]
        assert all(task.done() for task in tasks)

    run(main())


def test_tenants_take_turns() -> None:
    async def main() -> None:
        permits, served = FairSemaphore(2, Inboxes()), list[str]()

        async def sit(tenant: str) -> None:
            await permits.acquire(tenant)
            served.append(tenant)
            await settle()
            permits.release(tenant)

        await asyncio.gather(*(sit(tenant) for tenant in ["t_a"] * 6 + ["t_b"] * 3))
        assert served.index("t_b") <= 1
        assert served.count("t_b") == 3
        assert set(served[-2:]) == {"t_a"}  # nobody waits for a tenant that is served

    run(main())


def test_whoever_gives_up_leaves_the_permit_to_the_next() -> None:
    async def main() -> None:
        permits = FairSemaphore(2, Inboxes())
        await permits.acquire("t_a")
        waiting = [asyncio.create_task(permits.acquire("t_a")) for _ in range(3)]
        await settle()
        waiting[1].cancel()  # while it stands in line
        permits.release("t_a")
        waiting[0].cancel()  # it has a permit, and does not know yet
        await settle()
        assert [task.cancelled() for task in waiting] == [True, True, False]
        assert waiting[2].done()
        permits.release("t_a")
        await permits.acquire("t_a")
        await permits.acquire("t_b")

    run(main())


def test_loops_of_other_threads_are_served_too() -> None:
    permits, counts = FairSemaphore(2, Inboxes()), list[int]()
    held = threading.Lock()

    async def main() -> None:
        async def use() -> None:
            await permits.acquire("t_a")
            assert held.acquire(blocking=False)
            await asyncio.sleep(0)
            held.release()
            permits.release("t_a")

        await asyncio.gather(*(use() for _ in range(50)))
        counts.append(50)

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [50, 50, 50]
