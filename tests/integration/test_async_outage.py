"""The asyncio client where the state Redis goes away, the process forks, or an announcement is
missed; no worker runs here, a test ends the commands itself."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signalbox.commands.error import DeliveryError, StateUnavailable
from signalbox.commands.ledger.entry import Action, Finish, Parcel
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.ledger.script_reply import read_state
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.commands.wire import queue_of
from signalbox.producers.client import outcome_watch as watch
from signalbox.producers.client.async_client import AsyncClient
from signalbox.producers.client.buffer import BufferLimits
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.redis_server import RedisServer
from tests.conftest import need_redis
from tests.integration.conftest import TIMEOUT

PATIENT = BufferLimits(linger=timedelta(0), give_up_after=TIMEOUT)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    need_redis()
    server = RedisServer(tmp_path / "redis")
    server.start()
    monkeypatch.setenv("SIGNALBOX_STATE_URL", server.url)
    monkeypatch.setenv("SIGNALBOX_BROKER_URL", server.url)
    yield server
    server.stop()


def put(key: str) -> PutObject:
    payload = InlinePayload(data=key.encode())
    return PutObject(tenant_id="t_a", env="dev", key=key, payload=payload)


_taken: dict[str, tuple[str, Parcel]] = {}
"""What a worker has in hand, by the commands' refs, and its token."""
_opened: set[int] = set()
"""Parcels that have ended."""


def end(client: Client, command: Command) -> None:
    """What a worker does with it."""
    parcels = Parcels(client.state, client.settings, client.ledger)
    queue, shard = (
        queue_of(command, client.settings.tenant_shards),
        client.ledger.shards.of(command.ref),
    )
    token = uuid.uuid4().hex
    for parcel in parcels.take([shard], queue, token=token, worker="w", rung=True).claims.parcels:
        _taken.update(dict.fromkeys(parcel.rows, (token, parcel)))
    token, parcel = _taken.pop(command.ref)
    outcome = Outcome(
        op_id=command.op_id,
        op=command.op,
        tenant_id=command.tenant_id,
        env=command.env,
        subject=command.subject,
        status=Status.DONE,
        result={},
        seq=parcel.name,
        attempt=1,
        worker="w",
        claimed_at=datetime.now(UTC),
        duration_ms=0.0,
    )
    finish = Finish(command.ref, token, Action.DONE, outcome)
    # What was submitted together and does not end together goes on as records.
    at_first = parcel.name not in _opened
    _opened.add(parcel.name)
    ended = (
        parcels.end(token, [parcel], [finish])
        if at_first
        else client.ledger.finish(token, [finish])
    )
    assert ended.refused == []


async def accepted(client: AsyncClient, *commands: Command) -> None:
    for command in commands:
        while await client.record(command.ref) is None:
            await asyncio.sleep(0.005)


def test_tasks_wait_through_an_outage_and_are_told_behind_it(server: RedisServer) -> None:
    async def main() -> None:
        async with AsyncClient(limits=PATIENT) as client:
            first, second, third = put("1"), put("2"), put("3")
            waiting = [
                asyncio.create_task(client.run_outcome(each, TIMEOUT)) for each in (first, second)
            ]
            await accepted(client, first, second)
            await asyncio.to_thread(end, client.client, first)
            assert (await waiting[0]).subject == "1"
            await asyncio.to_thread(server.kill)
            late = asyncio.create_task(client.run_outcome(third, TIMEOUT))
            with pytest.raises(StateUnavailable):
                await client.record(second.ref)
            await asyncio.to_thread(server.start)
            # Its end may be announced before the listener is back.
            await asyncio.to_thread(end, client.client, second)
            assert (await waiting[1]).subject == "2"
            await accepted(client, third)
            await asyncio.to_thread(end, client.client, third)
            assert (await late).subject == "3"

    asyncio.run(main())


def test_what_the_ledger_did_not_take_is_an_error_and_no_open_outcome(server: RedisServer) -> None:
    limits = BufferLimits(linger=timedelta(0), give_up_after=timedelta(0))

    async def main() -> None:
        client = AsyncClient(limits=limits)
        await asyncio.to_thread(server.kill)
        with pytest.raises(StateUnavailable):
            await client.submit(put("a"))
        with pytest.raises(StateUnavailable):
            await client.run_outcome(put("a"), TIMEOUT)
        [ran] = await client.run_many([put("a")], TIMEOUT)
        assert isinstance(ran.error, StateUnavailable)
        assert (ran.submission, ran.outcome) == (None, None)
        await client.close()

        patient = AsyncClient(limits=PATIENT)
        again = put("b")
        with pytest.raises(StateUnavailable):
            await patient.run_outcome(again, timedelta(0))
        await asyncio.to_thread(server.start)
        # It goes on all the same, and under its op_id it is taken once.
        submission = await patient.submit(again)
        assert submission.accepted
        await patient.close()

    asyncio.run(main())


def test_an_outcome_that_is_announced_to_another_is_found_all_the_same(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.1)

    async def main() -> None:
        async with AsyncClient() as one, AsyncClient() as other:
            command = put("k")
            first = asyncio.create_task(one.run_outcome(command, TIMEOUT))
            await accepted(one, command)
            second = asyncio.create_task(other.run_outcome(command, TIMEOUT))
            # The last who asks is told.
            while not await asyncio.to_thread(_is_known_to, other, command):
                await asyncio.sleep(0.005)
            third = asyncio.create_task(one.ended(command.ref, TIMEOUT))
            await asyncio.to_thread(end, one.client, command)
            assert await first == await second == await third

    asyncio.run(main())


def _is_known_to(client: AsyncClient, command: Command) -> bool:
    its = client.client
    open_ones = its.state.call("HVALS", f"{its.ledger.shards.of(command.ref)}:par")
    return any(client.client.waiter.channel in read_state(text).reply for text in open_ones)


def test_a_forked_process_is_told_to_make_its_own(server: RedisServer) -> None:
    async def main() -> None:
        async with AsyncClient() as client:
            await client.submit(put("k"))
            child = os.fork()
            if child == 0:
                calls = [
                    client.submit(put("a")),
                    client.run_outcome(put("a")),
                    client.record("t_a/dev/a"),
                ]
                errors = []
                for call in calls:
                    try:
                        call.send(None)
                    except DeliveryError as error:
                        errors.append(error)
                os._exit(0 if len(errors) == len(calls) else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    asyncio.run(main())


def test_tasks_of_many_loops_wait_for_room_in_one_buffer(server: RedisServer) -> None:
    def loop_of(client: AsyncClient, name: str) -> None:
        async def main() -> None:
            await asyncio.gather(*(client.submit(put(f"{name}{n}")) for n in range(300)))

        asyncio.run(main())

    client = AsyncClient(Settings(), limits=BufferLimits(linger=timedelta(0), capacity=50))
    loops = [threading.Thread(target=loop_of, args=(client, name)) for name in "abc"]
    for each in loops:
        each.start()
    for each in loops:
        each.join()
    state = connect(server.url)
    assert client.client.ledger.totals()["open"] == 900
    state.close()
    asyncio.run(client.close())
