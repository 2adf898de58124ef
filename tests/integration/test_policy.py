"""Policies of tenants: the stricter mode, backends and regions, when set and when run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from signalbox.commands.error import Conflict, ForbiddenBackend, PolicyForbids
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import ListObjects, PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode
from signalbox.commands.state import State, connect
from signalbox.producers.client.client import Client
from signalbox.routing.policy.policy import Terms
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from tests.hash_chain import first_broken
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope
from tests.integration.operating import SCOPE, by, give_terms, kinds, point

ABROAD: RouteConfig = {"bucket": "bucket-b", "region": "us-east-1"}
HOME: RouteConfig = {"bucket": "bucket-b", "region": "eu-central-1"}
READS_ABROAD: RouteConfig = HOME | {"read_replicas": ["eu-west-1:bucket-c", "us-east-1:bucket-d"]}
ACCESS_POINT = "arn:aws:s3:us-east-1:123456789012:accesspoint/abroad"
ONLY_EUROPE = {"object_store": {"regions": ["eu-central-1", "eu-west-1"]}}


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def registry(client: State) -> Registry:
    return Registry(client)


def to_s3(registry: Registry, config: RouteConfig, tenant: str = "t_a") -> None:
    registry.set(object_scope(tenant), RouteTarget("s3", config, Mode.LAB), by())


def put(tenant: str, key: str, mode: Mode = Mode.LAB) -> PutObject:
    payload = InlinePayload(data=key.encode())
    return PutObject(tenant_id=tenant, env="dev", mode=mode, key=key, payload=payload)


def code(outcome: Outcome | None) -> str:
    assert outcome is not None
    return outcome.error.code if outcome.error else "done"


@pytest.mark.parametrize("mode", ["saas", "enterprise", "t_system"])
def test_a_policy_of_a_sold_mode_refuses_the_filesystem_to_whoever_claims_lab(
    registry: Registry, mode: str
) -> None:
    give_terms(registry, mode=mode)
    with pytest.raises(ForbiddenBackend, match=mode):
        point(registry, mode=Mode.LAB)
    point(registry, scope=object_scope("t_other"))
    assert kinds(registry) == ["policy_set", "refused", "set"]


def test_a_lab_policy_does_not_free_a_route_from_its_own_stricter_mode(registry: Registry) -> None:
    give_terms(registry, mode="lab")
    with pytest.raises(ForbiddenBackend):
        point(registry, mode=Mode.SAAS)


def test_a_backend_that_the_policy_does_not_name_is_refused_for_that_kind(
    registry: Registry,
) -> None:
    give_terms(registry, allowed={"object_store": {"backends": ["s3"]}})
    with pytest.raises(PolicyForbids, match="filesystem") as caught:
        point(registry)
    assert "s3" in str(caught.value.next_step)
    assert (caught.value.tenant_id, caught.value.backend_type) == ("t_a", "filesystem")
    to_s3(registry, ABROAD)
    give_terms(registry, allowed={"object_store": {"backends": []}})
    with pytest.raises(PolicyForbids, match="s3"):
        registry.switch(SCOPE, RouteTarget("s3", HOME, Mode.LAB), by())


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (ABROAD, "region us-east-1"),
        (READS_ABROAD, "region us-east-1"),
        (HOME | {"bucket": ACCESS_POINT}, "region us-east-1"),
        ({"bucket": "bucket-b"}, "without a region"),
        ({"bucket": "bucket-b", "read_replicas": ["eu-west-1:bucket-c"]}, "without a region"),
    ],
)
def test_a_region_that_the_policy_does_not_name_is_refused_to_write_and_to_read(
    registry: Registry, config: RouteConfig, named: str
) -> None:
    give_terms(registry, allowed=ONLY_EUROPE)
    with pytest.raises(PolicyForbids, match=named):
        to_s3(registry, config)
    to_s3(registry, HOME | {"read_replicas": ["eu-west-1:bucket-c"]})
    assert kinds(registry) == ["policy_set", "refused", "set"]


def test_a_policy_is_recorded_with_before_and_after_and_once_for_the_same_terms(
    registry: Registry,
) -> None:
    first = give_terms(registry, mode="saas", quotas={"objects": 5})
    assert give_terms(registry, mode="saas", quotas={"objects": 5}) == first
    second = give_terms(registry, mode="enterprise")
    assert (first.revision, second.revision) == (1, 2)
    assert registry.policies.get("t_a") == second
    one, two = registry.events(0)
    assert (one.subject, one.data.before) == ("policy/t_a", None)
    assert one.data.after == two.data.before == first.terms.model_dump(mode="json")
    assert two.data.after == second.terms.model_dump(mode="json")
    assert first_broken([one, two]) is None
    assert [policy.tenant_id for policy in registry.policies.all()] == ["t_a"]


def test_a_policy_of_another_revision_is_a_conflict_and_a_repeat_is_none(
    registry: Registry,
) -> None:
    def set_(terms: dict[str, Any], if_revision: int, change_id: str | None = None) -> None:
        change = by(change_id=change_id or new_op_id())
        registry.policies.set("t_a", Terms.model_validate(terms), change, if_revision=if_revision)

    set_({"mode": "saas"}, 0, "one")
    set_({"mode": "saas"}, 0, "one")
    with pytest.raises(Conflict, match="at revision 1, not 0"):
        set_({"mode": "lab"}, 0)
    assert kinds(registry) == ["policy_set", "refused"]
    refusal = registry.events(0)[-1].data
    assert refusal.before is not None
    assert refusal.before["mode"] == "saas"
    assert refusal.after is not None
    assert refusal.after["mode"] == "lab"


def test_routes_from_before_the_policy_stay_and_their_commands_are_refused(
    two_workers: RunningStack,
) -> None:
    registry = two_workers.registry()
    two_workers.route_to_folder("t_backend")
    two_workers.route_to_folder("t_mode")
    to_s3(registry, ABROAD, "t_region")
    to_s3(registry, READS_ABROAD, "t_read_region")
    give_terms(registry, "t_backend", allowed={"object_store": {"backends": ["s3"]}})
    give_terms(registry, "t_mode", mode="saas")
    for tenant in ("t_region", "t_read_region"):
        give_terms(registry, tenant, allowed=ONLY_EUROPE)
    tenants = ["t_backend", "t_mode", "t_region", "t_read_region"]
    with two_workers.client() as client:
        outcomes = client.wait(client.submit_many(put(tenant, "k") for tenant in tenants))
        found = {tenant: code(o) for tenant, o in zip(tenants, outcomes, strict=True)}
        assert found.pop("t_mode") == "FORBIDDEN_BACKEND_CLASS"
        assert set(found.values()) == {"POLICY_FORBIDS"}
        give_terms(registry, "t_backend")
        assert code(client.run_outcome(put("t_backend", "k"))) == "done"


def test_no_command_runs_under_a_laxer_policy_than_the_one_acknowledged_before_its_claim(
    two_workers: RunningStack,
) -> None:
    tenant, rounds = "t_flip", 40
    two_workers.route_to_folder(tenant, "flip")
    registry = two_workers.registry()
    during: list[tuple[Outcome | None, Any]] = []
    with two_workers.client() as client:
        for number in range(rounds):
            give_terms(registry, tenant, mode="lab")
            assert code(client.run_outcome(put(tenant, f"lab/{number}"), TIMEOUT)) == "done"
            early = [client.submit(put(tenant, f"early/{number}/{n}")) for n in range(12)]
            give_terms(registry, tenant, mode="saas")
            late = client.submit_many(put(tenant, f"late/{number}/{n}") for n in range(4))
            strict_at = registry.events(registry.head().revision - 1)[0].committed_at
            for outcome in client.wait(late, TIMEOUT):
                assert code(outcome) == "FORBIDDEN_BACKEND_CLASS"
            during += [(outcome, strict_at) for outcome in client.wait(early, TIMEOUT)]
        stale = [o for o, at in during if code(o) == "done" and o and o.claimed_at > at]
        assert stale == []
        assert {code(outcome) for outcome, _ in during} == {"done", "FORBIDDEN_BACKEND_CLASS"}
        give_terms(registry, tenant, mode="lab")
        assert _keys(client, tenant, "late/") == []
        assert len(_keys(client, tenant, "lab/")) == rounds


def _keys(client: Client, tenant: str, prefix: str) -> list[str]:
    page = client.run_outcome(ListObjects(tenant_id=tenant, env="dev", prefix=prefix)).unwrap()
    return [entry["key"] for entry in page["objects"]]
