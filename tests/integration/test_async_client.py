"""The asyncio client on a running stack."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta

import pytest

from signalbox.commands.error import ContentMismatch, DeliveryError, OpIdReused, OutcomePending
from signalbox.commands.ledger.entry import Acceptance, Receipt
from signalbox.commands.object_store import GetObject, GetResult, PutObject
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.producers.client.async_client import AsyncClient
from signalbox.producers.client.buffer import BufferLimits
from signalbox.producers.client.submission import Submission
from tests.integration.conftest import TIMEOUT, RunningStack


def put(tenant: str, key: str, content: str = "x", op_id: str | None = None) -> PutObject:
    payload = InlinePayload(data=content.encode())
    named = {"op_id": op_id} if op_id else {}
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=payload, **named)


async def body(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def staged_files(running: RunningStack) -> list[str]:
    folder = running.settings.payload_dir
    assert folder is not None
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


async def nothing_staged(running: RunningStack) -> None:
    """Soon: a thread may be about to let go of what it has made."""
    while staged_files(running):
        await asyncio.sleep(0.005)


def test_a_command_is_run_and_a_second_one_under_its_op_id_is_refused(
    two_workers: RunningStack,
) -> None:
    two_workers.route_to_folder("t_one")

    async def main() -> None:
        async with AsyncClient(two_workers.settings) as client:
            first = put("t_one", "a", "hello", "one")
            outcome = await client.run_outcome(first, TIMEOUT)
            assert outcome.unwrap()["size"] == 5
            assert await client.run_outcome(first, TIMEOUT) == outcome
            with pytest.raises(OpIdReused):
                await client.run_outcome(put("t_one", "b", op_id="one"), TIMEOUT)
            with pytest.raises(OpIdReused):
                await client.submit(put("t_one", "b", op_id="one"))
            record = await client.record(first.ref)
            assert record is not None
            assert record.outcome == outcome
            assert await client.record("t_one/dev/none") is None

    asyncio.run(main())


def test_many_tasks_cost_few_round_trips_and_each_gets_its_own_outcome(
    two_workers: RunningStack,
) -> None:
    two_workers.route_to_folder("t_many")

    async def main() -> None:
        async with AsyncClient(two_workers.settings) as client:
            keys = [f"k{number:03}" for number in range(300)]
            before = client.client.state.server().info("commandstats")["cmdstat_evalsha"]["calls"]
            outcomes = await asyncio.gather(
                *(client.run_outcome(put("t_many", key), TIMEOUT) for key in keys)
            )
            assert [outcome.subject for outcome in outcomes] == keys
            assert all(outcome.error is None for outcome in outcomes)
            after = client.client.state.server().info("commandstats")["cmdstat_evalsha"]["calls"]
            # Claims, finishes, and what the workers' reconcilers ask meanwhile, are counted too.
            assert after - before < len(keys)

    asyncio.run(main())


def test_a_batch_tells_of_each_what_became_of_it(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_batch")

    async def main() -> None:
        async with AsyncClient(two_workers.settings) as client:
            taken = put("t_batch", "taken", op_id="taken")
            submission = await client.submit(taken)
            assert (await client.outcome(submission, TIMEOUT)).error is None
            lost = GetObject(tenant_id="t_batch", env="dev", key="nowhere")
            commands = [
                put("t_batch", "a"),
                put("t_batch", "other", op_id="taken"),
                lost,
                put("t_noroute", "a"),
            ]
            ran = await client.run_many(commands, TIMEOUT)
            codes = [each.outcome.error and each.outcome.error.code for each in ran if each.outcome]
            assert codes == [None, "NOT_FOUND", "ROUTE_NOT_FOUND"]
            assert isinstance(ran[1].error, OpIdReused)
            submissions = await client.submit_many(commands)
            assert [each.accepted for each in submissions] == [True, False, True, True]
            known = await client.wait(submissions, TIMEOUT)
            assert [outcome is not None for outcome in known] == [True, False, True, True]

    asyncio.run(main())


def test_commands_on_one_key_take_effect_in_the_order_of_the_calls(
    two_workers: RunningStack,
) -> None:
    two_workers.route_to_folder("t_order")
    limits = BufferLimits(count=3, linger=timedelta(0), capacity=4)

    async def main() -> None:
        async with AsyncClient(two_workers.settings, limits=limits) as client:
            # Most of them wait for room in the buffer.
            tasks = [client.run_outcome(put("t_order", "k", str(n)), TIMEOUT) for n in range(60)]
            outcomes = await asyncio.gather(*tasks)
            numbers = [outcome.seq for outcome in outcomes]
            assert numbers == sorted(numbers)
            found = await client.run_outcome(
                GetObject(tenant_id="t_order", env="dev", key="k"), TIMEOUT
            )
            payload = found.result_as(GetResult).payload
            assert isinstance(payload, InlinePayload)
            assert payload.data == b"59"

    asyncio.run(main())


def test_a_wait_that_is_over_or_cancelled_takes_nothing_back(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_wait")

    async def main() -> None:
        async with AsyncClient(two_workers.settings) as client:
            again = [put("t_wait", f"k{number}") for number in range(2)]
            tasks = [asyncio.create_task(client.run_outcome(each, TIMEOUT)) for each in again]
            await asyncio.sleep(0)  # they are in the buffer now
            for task in tasks:
                task.cancel()
            assert all(
                isinstance(end, asyncio.CancelledError)
                for end in await asyncio.gather(*tasks, return_exceptions=True)
            )
            for each in again:
                assert (await client.run_outcome(each, TIMEOUT)).error is None
            submission = await client.submit(put("t_nobody", "k"))
            while (await client.record(submission.receipt.ref)) is None:
                pass
            # No worker can be so fast that this one has ended.
            never = GetObject(tenant_id="t_wait", env="dev", key="k0")
            with pytest.raises(OutcomePending):
                await client.outcome(
                    Submission(never, Receipt(never.ref, Acceptance.NEW, 1)), timedelta(0)
                )

    asyncio.run(main())


def test_one_client_serves_loops_that_come_and_go(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_loops")
    client = AsyncClient(two_workers.settings)
    for number in range(3):
        outcome = asyncio.run(client.run_outcome(put("t_loops", str(number)), TIMEOUT))
        assert outcome.error is None

    async def leave() -> None:
        # Its loop is closed before the outcome is there.
        task = asyncio.create_task(client.run_outcome(put("t_loops", "left"), TIMEOUT))
        await asyncio.sleep(0)
        assert not task.done()

    asyncio.run(leave())
    assert asyncio.run(client.run_outcome(put("t_loops", "last"), TIMEOUT)).error is None
    asyncio.run(client.close())
    with pytest.raises(DeliveryError):
        asyncio.run(client.run_outcome(put("t_loops", "closed"), TIMEOUT))


def test_a_body_is_staged_as_it_arrives_and_stored_whole(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_body")
    parts = [bytes([number]) * 100_000 for number in range(20)]
    whole = b"".join(parts)

    async def main() -> None:
        async with AsyncClient(two_workers.settings) as client:
            digest = hashlib.sha256(whole).hexdigest()
            payload = await client.payload(body(*parts), size=len(whole), sha256=digest)
            assert isinstance(payload, StagedPayload)
            command = PutObject(tenant_id="t_body", env="dev", key="k", payload=payload)
            assert (await client.run_outcome(command, TIMEOUT)).unwrap()["sha256"] == digest
            small = await client.payload(body(b"a", b"", b"b"))
            assert isinstance(small, InlinePayload)
            assert small.data == b"ab"
            del payload, command

            await nothing_staged(two_workers)

    asyncio.run(main())


@pytest.mark.parametrize("length", [10, 1_000_000])
def test_a_body_that_is_not_what_was_declared_leaves_nothing(
    two_workers: RunningStack, length: int
) -> None:
    content = b"x" * length
    digest = hashlib.sha256(content).hexdigest()

    async def broken(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
        for part in parts:
            yield part
        raise ConnectionError("the sender went away")

    async def main() -> None:
        async with AsyncClient(two_workers.settings) as client:
            for size, its_digest in ((length + 1, None), (length - 1, None), (length, "0" * 64)):
                with pytest.raises(ContentMismatch):
                    await client.payload(body(content), size=size, sha256=its_digest)
            with pytest.raises(ConnectionError):
                await client.payload(broken([content]), size=length, sha256=digest)

            async def endless() -> AsyncIterator[bytes]:
                yield content
                await asyncio.Event().wait()

            task = asyncio.create_task(client.payload(endless()))
            if length > 10:
                while not staged_files(two_workers):
                    await asyncio.sleep(0.001)
            else:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            await nothing_staged(two_workers)

    asyncio.run(main())


def test_what_nobody_submits_goes_with_its_payload_object(two_workers: RunningStack) -> None:

    async def main() -> None:
        async with AsyncClient(two_workers.settings) as client:
            payload = await client.payload(body(b"x" * 1_000_000))
            assert len(staged_files(two_workers)) == 1
            del payload
            await nothing_staged(two_workers)

    asyncio.run(main())
