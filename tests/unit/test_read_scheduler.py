"""The way of reads through look-up and call: who hangs, gives up or fails holds up nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from signalbox.commands.error import StateUnavailable
from signalbox.commands.object_store import GetObject
from signalbox.gateway.fair_semaphore import FairSemaphore
from signalbox.gateway.read_admission import Timed
from signalbox.gateway.read_scheduler import Calls, Read, ReadScheduler
from signalbox.producers.client.loop_inbox import Inboxes
from signalbox.workers.execution.pipeline_types import Admitted, Ended

THREADS = 4
TIMEOUT = 300.0


def get(key: str) -> GetObject:
    return GetObject(tenant_id=f"t_{key}", env="dev", key=key)


class Reads:
    """A line whose look-ups admit everything, on a backend of this machine or another."""

    def __init__(self, *, local: bool = True) -> None:
        inboxes = Inboxes()
        self.permits = FairSemaphore(THREADS, inboxes)
        self.threads = ThreadPoolExecutor(THREADS + 1)
        self.scheduler = ReadScheduler(self._admit, self.permits, self.threads, inboxes)
        self.looks: list[int] = []
        self.error: Exception | None = None
        self._local = local

    async def read(
        self, key: str, call: Callable[[Admitted], Any] | Calls, timeout: float = TIMEOUT
    ) -> Any:
        await self.permits.acquire(f"t_{key}")
        calls = call if isinstance(call, Calls) else Calls(call)
        return (await self.scheduler.run(get(key), 1.0, calls, timeout))[0]

    def _admit(self, asked: Sequence[Timed]) -> list[Admitted | Ended]:
        self.looks.append(len(asked))
        if self.error is not None:
            raise self.error
        backend = SimpleNamespace(lab_only=self._local, bulk_verbs={"get"})
        route = SimpleNamespace(scope=SimpleNamespace(field="scope"), fence="1")
        return [
            cast(
                Admitted,
                SimpleNamespace(
                    backend=backend,
                    route=route,
                    mode="lab",
                    claimed=SimpleNamespace(command=command),
                ),
            )
            for command, _ in asked
        ]


def run(reads: Reads, main: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await main()
        # Every permit was given back.
        for number in range(THREADS):
            async with asyncio.timeout(TIMEOUT):
                await reads.permits.acquire(f"t_{number}")

    asyncio.run(whole())
    # Its thread would keep the tests' process from ending.
    reads.scheduler.close()
    reads.threads.shutdown()


def ended(name: str) -> Read:
    return cast(Read, (name, None))


@pytest.mark.parametrize("local", [True, False])
def test_a_read_that_hangs_holds_up_no_other(local: bool) -> None:
    reads, go_on = Reads(local=local), threading.Event()

    def hang(_: Admitted) -> Read:
        assert go_on.wait(TIMEOUT)
        return ended("slow")

    async def main() -> None:
        hanging = [asyncio.create_task(reads.read(f"h{n}", hang)) for n in range(THREADS - 1)]
        await asyncio.sleep(0)
        for number in range(20):
            assert await reads.read("q", lambda _: ended("quick")) == "quick", number
        assert not any(task.done() for task in hanging)
        go_on.set()
        assert await asyncio.gather(*hanging) == ["slow"] * (THREADS - 1)

    run(reads, main)


def test_what_comes_meanwhile_is_looked_up_together() -> None:
    reads, go_on = Reads(), threading.Event()
    begun = asyncio.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def first(_: Admitted) -> Read:
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(TIMEOUT)
            return ended("first")

        one = asyncio.create_task(reads.read("a", first))
        await begun.wait()
        others = [asyncio.create_task(reads.read(k, lambda _: ended("x"))) for k in ("b", "c")]
        assert await asyncio.gather(*others) == ["x", "x"]
        go_on.set()
        assert await one == "first"

    run(reads, main)
    assert sum(reads.looks) == 3
    assert len(reads.looks) == 2


def test_who_gives_up_gives_its_permit_back_when_the_call_ends() -> None:
    reads, go_on = Reads(), threading.Event()
    begun, closed = threading.Event(), threading.Event()

    def slow(_: Admitted) -> Read:
        begun.set()
        assert go_on.wait(TIMEOUT)
        return cast(Read, ("late", SimpleNamespace(close=closed.set)))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await reads.read("a", slow, timeout=0.01)
        begun.clear()  # that one may have begun, or had no time to
        cancelled = asyncio.create_task(reads.read("b", slow))
        assert await asyncio.to_thread(begun.wait, TIMEOUT)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        go_on.set()
        # What was opened for nobody is closed.
        assert await asyncio.to_thread(closed.wait, TIMEOUT)

    run(reads, main)


def test_errors_reach_who_asked() -> None:
    reads = Reads()

    def fail(_: Admitted) -> Read:
        raise ValueError("no such thing")

    async def main() -> None:
        with pytest.raises(ValueError, match="no such thing"):
            await reads.read("a", fail)
        reads.error = StateUnavailable("it is away")
        found = await asyncio.gather(*(reads.read(k, fail) for k in "abc"), return_exceptions=True)
        assert {type(each) for each in found} == {StateUnavailable}
        assert len({id(each) for each in found}) == 3

    run(reads, main)


@pytest.mark.parametrize("fails", [False, True])
def test_reads_that_are_alike_are_one_call_and_each_has_its_own_end(fails: bool) -> None:
    reads, go_on = Reads(), threading.Event()
    begun = asyncio.Event()
    together: list[list[str]] = []

    def many(items: Sequence[Admitted]) -> list[Read]:
        keys = [cast(GetObject, item.claimed.command).key for item in items]
        together.append(keys)
        if fails:
            raise ValueError("no such thing")
        return [ended(key) for key in keys]

    calls = Calls(lambda item: many([item])[0], many)

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def first(_: Admitted) -> Read:
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(TIMEOUT)
            return ended("first")

        one = asyncio.create_task(reads.read("z", first))
        await begun.wait()
        tasks = [asyncio.create_task(reads.read(key, calls)) for key in ("b", "c")]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        go_on.set()
        await one
        if fails:
            assert {type(each) for each in found} == {ValueError}
            assert found[0] is not found[1]
        else:
            assert found == ["b", "c"]

    run(reads, main)
    assert together == [["b", "c"]]
