"""Reads that run in the gateway, beside the same ones through the queue."""

from __future__ import annotations

import asyncio
import bisect
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from signalbox.commands.error import (
    InvalidCommand,
    LeaseExpired,
    NotFound,
    OutcomePending,
    RateLimited,
    RouteNotFound,
)
from signalbox.commands.event_stream import AppendEvent, Event, ListStreams, ReadEvents
from signalbox.commands.ledger.shard import USUAL, Shards
from signalbox.commands.metrics_store import (
    Aggregation,
    IngestPoints,
    ListSeries,
    Point,
    QueryPoints,
)
from signalbox.commands.model import Command
from signalbox.commands.object_store import (
    GetObject,
    HeadObject,
    ListObjects,
    ObjectUri,
    PresignGet,
    PresignPost,
    PresignPut,
    PutObject,
)
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import connect
from signalbox.commands.tabular_store import Filter, GetRow, ListTables, QueryRows, UpsertRow
from signalbox.gateway.open_content import PART_BYTES
from signalbox.gateway.reads import ReadLimits, Reads
from signalbox.producers.client.async_client import AsyncClient
from signalbox.routing.policy.policy import Terms
from signalbox.routing.route import RouteTarget
from tests.conformance.harness import HARNESSES
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope
from tests.integration.operating import by

SPAN = {"start": "2026-01-31T12:00:00Z", "end": "2026-01-31T13:00:00Z"}
CELLS = [
    (ResourceKind.OBJECT_STORE, "filesystem"),
    (ResourceKind.OBJECT_STORE, "s3"),
    (ResourceKind.TABULAR_STORE, "filesystem"),
    (ResourceKind.TABULAR_STORE, "dynamodb"),
    (ResourceKind.METRICS_STORE, "filesystem"),
    (ResourceKind.METRICS_STORE, "dynamodb"),
    (ResourceKind.EVENT_STREAM, "filesystem"),
    (ResourceKind.EVENT_STREAM, "dynamodb"),
]


@asynccontextmanager
async def reading(
    running: RunningStack, limits: ReadLimits | None = None, **settings: Any
) -> AsyncIterator[tuple[AsyncClient, Reads]]:
    async with AsyncClient(running.settings.model_copy(update=settings)) as client:
        reads = Reads(client, limits)
        try:
            yield client, reads
        finally:
            await reads.close()


def put(tenant: str, key: str, data: bytes) -> PutObject:
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=InlinePayload(data=data))


def writes(kind: ResourceKind, here: dict[str, str]) -> list[Command]:
    match kind:
        case ResourceKind.OBJECT_STORE:
            return [
                PutObject(**here, key=key, payload=InlinePayload(data=key.encode() * 3))
                for key in ("a", "docs/b", "docs/c")
            ]
        case ResourceKind.TABULAR_STORE:
            return [
                UpsertRow(**here, table_name="people", key=f"p{n}", data={"n": n, "x": {"y": [n]}})
                for n in range(5)
            ]
        case ResourceKind.METRICS_STORE:
            points = [
                Point(series="cpu", timestamp=f"2026-01-31T12:0{n}:00Z", value=n, labels={"h": "a"})
                for n in range(5)
            ]
            return [IngestPoints(**here, points=points)]
        case ResourceKind.EVENT_STREAM:
            return [
                AppendEvent(**here, stream="s", event=Event(type="t", id=f"e{n}", data={"n": n}))
                for n in range(3)
            ]


def reads_of(kind: ResourceKind, here: dict[str, str]) -> list[Command]:
    match kind:
        case ResourceKind.OBJECT_STORE:
            return [
                GetObject(**here, key="a"),
                GetObject(**here, key="docs/b", first=2, last=9),
                GetObject(**here, key="docs/b", first=4),
                GetObject(**here, key="docs/b", first=10_000),
                GetObject(**here, key="none"),
                HeadObject(**here, key="a"),
                HeadObject(**here, key="none"),
                ListObjects(**here),
                ListObjects(**here, prefix="docs/", limit=1),
                ListObjects(**here, delimiter="/"),
                ListObjects(**here, cursor="forged"),
                ObjectUri(**here, key="a"),
                PresignGet(**here, key="a"),
                PresignPut(**here, key="a"),
                PresignPost(**here, key="a", content_type="text/plain", max_bytes=10),
            ]
        case ResourceKind.TABULAR_STORE:
            above = Filter(column="n", op="ge", value=2)
            return [
                GetRow(**here, table_name="people", key="p1"),
                GetRow(**here, table_name="people", key="none"),
                QueryRows(**here, table_name="people", filters=[above], limit=2),
                QueryRows(**here, table_name="people", cursor="forged"),
                ListTables(**here, prefix="p", allow_scan=True),
                ListTables(**here, cursor="forged", allow_scan=True),
                ListTables(**here),
            ]
        case ResourceKind.METRICS_STORE:
            summed = {"aggregation": Aggregation.SUM, "window": timedelta(minutes=2)}
            return [
                QueryPoints(**here, series="cpu", **SPAN),
                QueryPoints(**here, series="cpu", **SPAN, **summed),
                QueryPoints(**here, series="cpu", **SPAN, limit=2),
                QueryPoints(**here, series="cpu", **SPAN, cursor="forged"),
                ListSeries(**here, allow_scan=True),
                ListSeries(**here),
            ]
        case ResourceKind.EVENT_STREAM:
            return [
                ReadEvents(**here, stream="s"),
                ReadEvents(**here, stream="s", after=1, limit=1),
                ReadEvents(**here, stream="none"),
                ListStreams(**here, limit=1, allow_scan=True),
                ListStreams(**here),
            ]


def told(outcome: Outcome) -> dict[str, Any]:
    """What a caller is told, without what differs between two calls."""
    result = dict(outcome.result) if outcome.result is not None else None
    if result is not None and "url" in result:
        result = {"url": urlsplit(result["url"])[:3], "names": sorted(result.get("fields", {}))}
    error = outcome.error.model_dump() if outcome.error else None
    return {
        "result": result,
        "error": error,
        "place": (outcome.op, outcome.tenant_id, outcome.env, outcome.subject),
        "route": (outcome.backend_type, outcome.route_revision, outcome.status),
    }


@pytest.mark.parametrize(("kind", "backend"), CELLS)
def test_a_read_answers_as_through_the_queue(
    two_workers: RunningStack, kind: ResourceKind, backend: str
) -> None:
    tenant = f"t_{kind}_{backend}"
    here = {"tenant_id": tenant, "env": "dev"}
    scope = Scope(kind=kind, tenant_id=tenant, env="dev")

    async def main() -> None:
        async with reading(two_workers) as (client, reads):
            for ran in await client.run_many(writes(kind, here), TIMEOUT):
                assert ran.outcome is not None
                assert ran.outcome.error is None
            for command in reads_of(kind, here):
                here_told = told(await reads.run(command))
                assert here_told == told(await client.run_outcome(command, TIMEOUT))
                assert here_told["error"] is None or here_told["error"]["next_step"]
            nowhere = reads_of(kind, {"tenant_id": "t_nowhere", "env": "dev"})[0]
            assert told(await reads.run(nowhere)) == told(
                await client.run_outcome(nowhere, TIMEOUT)
            )
            sold = reads_of(kind, here)[0].model_copy(update={"mode": Mode.SAAS})
            assert told(await reads.run(sold)) == told(await client.run_outcome(sold, TIMEOUT))

    with HARNESSES[kind, backend]() as harness:
        config = harness.config
        if backend == "filesystem":
            config = {"base_dir": str(two_workers.data / "cells" / kind)}
        two_workers.registry().set(scope, RouteTarget(backend, config, Mode.LAB), by())
        asyncio.run(main())


def test_a_read_stands_behind_the_write_that_it_names(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_after")

    async def main() -> None:
        async with (
            reading(two_workers) as (_, reads),
            AsyncClient(two_workers.settings) as other,
        ):
            for number in range(20):
                data = str(number).encode()
                submission = await other.submit(put("t_after", "k", data))
                get = GetObject(tenant_id="t_after", env="dev", key="k")
                async with await reads.stream(get, after=submission.op_id) as content:
                    assert [part async for part in content] == [data]
            for after in ("never-given", "no op_id/../x"):
                with pytest.raises(InvalidCommand):
                    await reads.run(get, after=after)
            with pytest.raises(InvalidCommand):
                await reads.run(put("t_after", "k", b""))

    asyncio.run(main())


def test_a_write_without_an_end_is_not_waited_for_longer_than_a_lease(
    state_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from signalbox.commands.settings import Settings

    monkeypatch.setenv("SIGNALBOX_STATE_URL", state_url)
    monkeypatch.setenv("SIGNALBOX_BROKER_URL", state_url)
    settings = Settings(lease=timedelta(seconds=0.2))

    async def main() -> None:
        async with AsyncClient(settings) as client:
            reads = Reads(client)
            submission = await client.submit(put("t_nobody", "k", b"x"))
            with pytest.raises(OutcomePending):
                await reads.run(
                    GetObject(tenant_id="t_nobody", env="dev", key="k"), after=submission.op_id
                )
            await reads.close()

    asyncio.run(main())


def test_no_read_runs_on_a_route_older_than_the_one_at_its_look(two_workers: RunningStack) -> None:
    tenant, folders = "t_flip", ("left", "right")
    registry, scope = two_workers.registry(), object_scope(tenant)
    with two_workers.client() as client:
        for folder in folders:
            two_workers.route_to_folder(tenant, folder)
            client.run(put(tenant, "k", folder.encode()), TIMEOUT)

    def flip(number: int) -> None:
        registry.switch(
            scope,
            RouteTarget(
                "filesystem", {"base_dir": str(two_workers.data / folders[number % 2])}, Mode.LAB
            ),
            by("test", "flip"),
        )

    async def main() -> list[Outcome]:
        found: list[Outcome] = []
        flipped = asyncio.Event()

        async def read() -> None:
            while not flipped.is_set():
                found.append(await reads.run(GetObject(tenant_id=tenant, env="dev", key="k")))

        async with reading(two_workers) as (_, reads):
            readers = [asyncio.create_task(read()) for _ in range(4)]
            for number in range(200):
                await asyncio.to_thread(flip, number)
            flipped.set()
            await asyncio.gather(*readers)
        return found

    outcomes = asyncio.run(main())
    events = [event for event in registry.events(0, limit=10_000) if event.subject == scope.field]
    changes = [(event.committed_at, event.revision) for event in events]
    times = [at for at, _ in changes if at is not None]
    config_at = {event.revision: event.data.after for event in events}
    for outcome in outcomes:
        newest = changes[bisect.bisect_right(times, outcome.claimed_at) - 1][1]
        assert (outcome.route_revision or 0) >= newest
        after = config_at[outcome.route_revision or 0]
        assert after is not None
        found = InlinePayload.model_validate(outcome.unwrap()["payload"])
        assert found.data.decode() == Path(after["config"]["base_dir"]).name
    assert len({outcome.route_revision for outcome in outcomes}) > 10


def test_a_rate_holds_for_reads_and_a_line_lets_none_pass(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_rate")
    registry = two_workers.registry()
    terms = Terms.model_validate({"quotas": {"commands_per_second": 0.01}})
    registry.policies.set("t_rate", terms, by("a", "r"))
    get = GetObject(tenant_id="t_rate", env="dev", key="k")

    async def main() -> None:
        async with reading(two_workers) as (_, reads):
            first = await reads.run(get)
            assert first.error is not None
            assert first.error.code == "NOT_FOUND"
            second = await reads.run(get)
            assert second.error is not None
            assert second.error.code == RateLimited.code
            assert second.error.retry_after is not None
            assert 0 < second.error.retry_after <= 101
        shard = Shards(USUAL).shard("t_rate", "dev")
        line = f"{shard}:line:t_rate/dev/object_store"
        registry.client.server().zadd(line, {"t_rate/dev/x": 1})
        async with reading(two_workers) as (_, reads):
            third = await reads.run(get)
            assert third.error is not None
            assert third.error.code == RateLimited.code
        registry.client.server().delete(line)

    asyncio.run(main())


def test_what_the_ledger_or_the_registry_lost_stops_reads_too(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_lost")
    state = two_workers.registry().client
    era = f"{Shards(USUAL).shard('t_lost', 'dev')}:era"
    get = GetObject(tenant_id="t_lost", env="dev", key="k")

    async def main() -> list[str]:
        codes = []
        async with reading(two_workers) as (_, reads):
            state.server().hset(era, "lost", "a test says so")
            try:
                codes.append(code_of(await reads.run(get)))
            finally:
                state.server().hdel(era, "lost")
            codes.append(code_of(await reads.run(get)))
            fence = state.server().hget("{rt}:fence", "@epoch")
            assert fence is not None
            state.server().hdel("{rt}:fence", "@epoch")
            try:
                codes.append(code_of(await reads.run(get)))
            finally:
                state.server().hset("{rt}:fence", "@epoch", fence)
        return codes

    assert asyncio.run(main()) == ["LEDGER_REGRESSED", "NOT_FOUND", "REGISTRY_REGRESSED"]


def code_of(outcome: Outcome) -> str:
    assert outcome.error is not None
    return outcome.error.code


def test_reads_write_nothing_to_the_state(two_workers: RunningStack) -> None:
    """They run as a user of Redis who may write nothing."""
    two_workers.route_to_folder("t_readonly")
    with two_workers.client() as client:
        client.run(put("t_readonly", "k", b"content"), TIMEOUT)
    state = connect(two_workers.settings.state_url)
    state.server().execute_command(  # type: ignore[no-untyped-call]
        "ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@read", "+@connection",
        "+@pubsub", "+@transaction", "+time",
    )  # fmt: skip
    url = two_workers.settings.state_url.replace("redis://", "redis://reader:secret@")

    async def main() -> None:
        async with reading(two_workers, state_url=url) as (_, reads):
            get = GetObject(tenant_id="t_readonly", env="dev", key="k")
            assert (await reads.run(get)).unwrap()["info"]["size"] == 7
            async with await reads.stream(get) as content:
                assert [part async for part in content] == [b"content"]
            assert code_of(await reads.run(get.model_copy(update={"key": "none"}))) == "NOT_FOUND"

    try:
        asyncio.run(main())
    finally:
        state.server().execute_command("ACL", "DELUSER", "reader")  # type: ignore[no-untyped-call]
        state.close()


def test_a_large_content_comes_in_parts_and_holds_nothing_behind(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_large")
    whole = b"".join(bytes([number]) * 1000 for number in range(256)) * 8
    digest = hashlib.sha256(whole).hexdigest()
    get = GetObject(tenant_id="t_large", env="dev", key="k")
    limits = ReadLimits(streams=2, timeout=timedelta(seconds=0.2))

    async def body() -> AsyncIterator[bytes]:
        yield whole

    async def main() -> None:
        async with reading(two_workers, limits) as (client, reads):
            payload = await client.payload(body())
            command = PutObject(tenant_id="t_large", env="dev", key="k", payload=payload)
            (await client.run_outcome(command, TIMEOUT)).unwrap()
            # One at a time of a tenant: each gives back its place, however it ends.
            async with await reads.stream(get) as content:
                parts = [part async for part in content]
            assert max(map(len, parts)) <= PART_BYTES
            assert hashlib.sha256(b"".join(parts)).hexdigest() == digest
            middle = get.model_copy(update={"first": 1000, "last": 1_000_999})
            async with await reads.stream(middle) as content:
                assert (content.first, content.size, content.info.size) == (
                    1000, 1_000_000, len(whole),
                )  # fmt: skip
                assert b"".join([part async for part in content]) == whole[1000:1_001_000]
            content = await reads.stream(get)
            async for _ in content:
                break
            await content.aclose()
            slow = await reads.stream(get)
            # Waits until the one that nobody reads has ended.
            async with await reads.stream(get) as content:
                assert sum([len(part) async for part in content]) == len(whole)
            with pytest.raises(LeaseExpired):
                [part async for part in slow]
            for lost in ("t_large", "t_nowhere"):
                with pytest.raises((NotFound, RouteNotFound)):
                    await reads.stream(GetObject(tenant_id=lost, env="dev", key="none"))

    asyncio.run(main())


def test_many_reads_look_at_the_state_together(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_together")
    calls: list[int] = []

    async def main() -> Sequence[Outcome]:
        async with reading(two_workers) as (client, reads):
            (await client.run_outcome(put("t_together", "k", b"x"), TIMEOUT)).unwrap()
            before = reads._scheduler._admit_many

            def counted(asked: Any) -> Any:
                calls.append(len(asked))
                return before(asked)

            reads._scheduler._admit_many = counted
            get = GetObject(tenant_id="t_together", env="dev", key="k")
            return await asyncio.gather(*(reads.run(get) for _ in range(200)))

    outcomes = asyncio.run(main())
    assert all(outcome.error is None for outcome in outcomes)
    assert sum(calls) == 200
    assert len(calls) < 200
