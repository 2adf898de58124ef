"""Quotas and rates: refused before the backend is touched, counted right, and never lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from signalbox.commands.ledger.usage import UsageBook, Use
from signalbox.commands.object_store import DeleteObject, PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import Mode
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.s3_stand_in import S3StandIn
from signalbox.routing.route import RouteTarget
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope, wait_until
from tests.integration.operating import by, give_terms
from tests.integration.stored import keys_below

BUCKET = "quota-bucket"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3StandIn]:
    with S3StandIn(tmp_path_factory.mktemp("s3")) as stand_in:
        stand_in.create_bucket(BUCKET)
        yield stand_in


@pytest.fixture
def client(two_workers: RunningStack) -> Iterator[Client]:
    with two_workers.client() as client:
        yield client


def put(tenant: str, key: str, size: int = 1) -> PutObject:
    payload = InlinePayload(data=b"x" * size)
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=payload)


def codes(outcomes: list[Outcome | None]) -> list[str]:
    assert None not in outcomes
    return [o.error.code if o.error else "done" for o in outcomes if o is not None]


def use_of(client: Client, tenant: str, month: str | None = None) -> Use:
    [use] = UsageBook(client.state).read([object_scope(tenant)], month)
    return use


def stored(client: Client, tenant: str) -> tuple[int | None, int | None]:
    use = use_of(client, tenant)
    return use.objects, use.bytes


@pytest.mark.parametrize("quotas", [{"objects": 0}, {"bytes": 9}])
def test_what_is_over_the_quota_never_touches_the_backend(
    two_workers: RunningStack, client: Client, quotas: dict[str, int]
) -> None:
    tenant = f"t_none_{next(iter(quotas))}"
    two_workers.route_to_folder(tenant, tenant)
    give_terms(two_workers.registry(), tenant, quotas=quotas)
    outcome = client.run_outcome(put(tenant, "k", 10))
    assert outcome.error is not None
    assert outcome.error.code == "QUOTA_EXCEEDED"
    assert "policy set" in (outcome.error.next_step or "")
    assert not (two_workers.data / tenant).exists()
    use = use_of(client, tenant)
    assert (use.failures, use.writes, use.bytes_in) == (1, 0, 0)


@pytest.mark.parametrize(
    ("quotas", "fit"), [({"objects": 3}, 3), ({"bytes": 25}, 2), ({"objects": 2, "bytes": 99}, 2)]
)
@pytest.mark.parametrize("batched", [False, True])
def test_as_many_fit_as_the_quota_says_singly_and_in_one_batch(
    two_workers: RunningStack, client: Client, quotas: dict[str, int], fit: int, batched: bool
) -> None:
    tenant = f"t_fit_{len(quotas)}_{fit}_{'batch' if batched else 'single'}"
    two_workers.route_to_folder(tenant, tenant)
    give_terms(two_workers.registry(), tenant, quotas=quotas)
    puts = [put(tenant, f"k{n}", 10) for n in range(5)]
    outcomes: list[Outcome | None]
    if batched:
        outcomes = client.wait(client.submit_many(puts))
    else:
        outcomes = [client.run_outcome(each) for each in puts]
    assert codes(outcomes) == ["done"] * fit + ["QUOTA_EXCEEDED"] * (5 - fit)
    assert stored(client, tenant) == (fit, fit * 10)
    assert len(keys_below(two_workers.data / tenant)) == fit


def test_a_small_object_still_fits_behind_one_that_does_not(
    two_workers: RunningStack, client: Client
) -> None:
    tenant = "t_small"
    two_workers.route_to_folder(tenant, tenant)
    give_terms(two_workers.registry(), tenant, quotas={"bytes": 20})
    outcomes = client.wait(
        client.submit_many([put(tenant, "a", 15), put(tenant, "b", 15), put(tenant, "c", 5)])
    )
    assert codes(outcomes) == ["done", "QUOTA_EXCEEDED", "done"]


@pytest.mark.parametrize("backend", ["filesystem", "s3"])
def test_overwriting_and_deleting_count_as_what_they_leave_stored(
    two_workers: RunningStack, client: Client, s3: S3StandIn, backend: str
) -> None:
    tenant, registry = f"t_counted_{backend}", two_workers.registry()
    config: dict[str, Any] = {"base_dir": str(two_workers.data / tenant)}
    if backend == "s3":
        config = {
            "bucket": BUCKET,
            "region": "us-east-1",
            "endpoint_url": s3.endpoint_url,
            "credentials_file": str(s3.credentials_file),
        }
    registry.set(object_scope(tenant), RouteTarget(backend, config, Mode.LAB), by())
    give_terms(registry, tenant, quotas={"objects": 3, "bytes": 100})
    steps: list[tuple[Any, tuple[int, int]]] = [
        (put(tenant, "a", 10), (1, 10)),
        (put(tenant, "a", 40), (1, 40)),
        (put(tenant, "a", 5), (1, 5)),
        (put(tenant, "b", 7), (2, 12)),
        (put(tenant, "c", 1), (3, 13)),
        (DeleteObject(tenant_id=tenant, env="dev", key="b"), (2, 6)),
        (DeleteObject(tenant_id=tenant, env="dev", key="b"), (2, 6)),
        (put(tenant, "d", 94), (3, 100)),
    ]
    for command, left in steps:
        assert codes([client.run_outcome(command)]) == ["done"], command.subject
        assert stored(client, tenant) == left
    assert codes([client.run_outcome(put(tenant, "e"))]) == ["QUOTA_EXCEEDED"]
    use = use_of(client, tenant)
    assert (use.writes, use.failures, use.bytes_in) == (8, 1, 157)


def test_what_is_over_the_rate_waits_in_order_and_is_neither_lost_nor_an_attempt(
    two_workers: RunningStack, client: Client
) -> None:
    tenant, other = "t_rate", "t_unlimited"
    for each in (tenant, other):
        two_workers.route_to_folder(each)
    give_terms(two_workers.registry(), tenant, quotas={"commands_per_second": 0.1})
    dead = client.ledger.totals()["dead_letters"]
    # Five keys, each put ten times, in turns.
    submitted = client.submit_many(put(tenant, f"k{n % 5}", 1 + n) for n in range(50))
    refs = [submission.command.ref for submission in submitted]

    def waits() -> bool:
        records = [record for record in client.ledger.records(refs) if record]
        found = [record.waits_for for record in records if record.waits_for]
        return bool(found) and all(
            error.code == "RATE_LIMITED" and (error.retry_after or 0) > 0 for error in found
        )

    wait_until(waits, "some wait, and say for how long")
    neighbours = client.wait(client.submit_many(put(other, f"k{n}") for n in range(20)))
    assert codes(neighbours) == ["done"] * 20
    assert None in client.ledger.outcomes(refs), "the neighbour was done while these waited"

    give_terms(two_workers.registry(), tenant, quotas={"commands_per_second": 20})
    outcomes = client.wait(submitted, TIMEOUT)
    assert codes(outcomes) == ["done"] * 50
    claimed = [outcome.claimed_at for outcome in outcomes if outcome]
    assert (max(claimed) - min(claimed)).total_seconds() >= 1.4
    records = [record for record in client.ledger.records(refs) if record]
    assert {record.attempt for record in records} == {1}
    for key in range(5):
        ended = [record.ended or 0 for record in records[key::5]]
        assert ended == sorted(ended), f"k{key} was written out of order"
    assert client.ledger.totals()["dead_letters"] == dead
    use = use_of(client, tenant)
    assert (use.writes, use.failures, use.objects) == (50, 0, 5)
