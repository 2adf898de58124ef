"""What an operator sees of routes: health, use, locks, cost, and what a switch would come to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.ledger.usage import UsageBook
from signalbox.commands.object_store import DeleteObject, GetObject, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode
from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.s3_stand_in import S3StandIn
from signalbox.routing.route import RouteTarget
from tests.integration import command_line
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope, wait_until
from tests.integration.operating import by, give_terms, take

BUCKET = "view-bucket"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3StandIn]:
    with S3StandIn(tmp_path_factory.mktemp("s3")) as stand_in:
        stand_in.create_bucket(BUCKET)
        yield stand_in


def s3_config(s3: S3StandIn, **more: Any) -> RouteConfig:
    return {
        "bucket": BUCKET,
        "region": "us-east-1",
        "endpoint_url": s3.endpoint_url,
        "credentials_file": str(s3.credentials_file),
    } | more


def put(tenant: str, key: str, size: int = 10) -> PutObject:
    payload = InlinePayload(data=b"x" * size)
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=payload)


def ask(*arguments: str, exit_code: int = 0) -> Any:
    """What the command line answers, as JSON."""
    result = command_line.here(*arguments, "--json")
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout.splitlines()[-1])


def listed(*options: str) -> Any:
    return ask("routes", "list", "-k", "object_store", *options)


def check(tenant: str, *options: str, exit_code: int = 0) -> Any:
    where = ("object_store", "-t", tenant, "-e", "dev")
    return ask("routes", "check", *where, *options, exit_code=exit_code)


def test_the_list_shows_every_tenant_with_health_use_and_lock_in_pages(
    two_workers: RunningStack,
) -> None:
    registry = two_workers.registry()
    tenants = [f"t_list_{number}" for number in range(5)]
    for tenant in tenants:
        two_workers.route_to_folder(tenant)
    take(registry, "ann", scope=object_scope("t_list_3"), reason="moving")
    with two_workers.client() as client:
        client.run(put("t_list_1", "k"), TIMEOUT)
        client.run(GetObject(tenant_id="t_list_1", env="dev", key="k"), TIMEOUT)
    seen, after = [], "t_list_"
    for size in (2, 2, 1):
        page = listed("--after", after, "--limit", "2")
        mine = [r for r in page["routes"] if r["scope"]["tenant_id"] in tenants]
        assert len(mine) == size
        seen += mine
        after = page["next_after"] or ""
    assert [route["scope"]["tenant_id"] for route in seen] == tenants
    assert [route["health"] for route in seen] == ["unknown", "ok", "unknown", "unknown", "unknown"]
    assert (seen[3]["lock"]["owner"], seen[3]["lock"]["reason"]) == ("ann", "moving")
    assert [bool(route["lock"]) for route in seen].count(True) == 1
    use = seen[1]["use"]
    assert (use["writes"], use["reads"], use["bytes_in"], use["bytes_out"]) == (1, 1, 10, 10)
    assert [r["scope"]["tenant_id"] for r in listed("-t", "t_list_2")["routes"]] == ["t_list_2"]
    table = command_line.here("routes", "list", "-k", "object_store", "--limit", "1")
    assert "--after" in table.stderr


def test_a_check_of_a_healthy_backend_and_of_broken_ones(
    two_workers: RunningStack, s3: S3StandIn
) -> None:
    registry, tenant = two_workers.registry(), "t_check"
    two_workers.route_to_folder(tenant, "checked")
    found = check(tenant)
    steps = [step["name"] for step in found["probe"]["steps"]]
    assert (found["probe"]["error"], found["health"]) == (None, "ok")
    assert steps == ["open", "write", "read", "compare", "fences", "delete"]

    (two_workers.data / "no-folder").write_text("a file")
    two_workers.route_to_folder(tenant, "no-folder")
    broken = check(tenant, exit_code=1)
    error = broken["probe"]["error"]
    assert (error["code"], broken["health"]) == ("MISCONFIGURED", "MISCONFIGURED")
    assert (error["tenant_id"], error["backend_type"]) == (tenant, "filesystem")
    assert error["next_step"]

    down = s3_config(s3, endpoint_url=f"http://127.0.0.1:{free_port()}")
    for config, code in (
        (s3_config(s3), None),
        (s3_config(s3, bucket="no-such-bucket"), "MISCONFIGURED"),
        (down, "UNAVAILABLE"),
    ):
        registry.switch(object_scope(tenant), RouteTarget("s3", config, Mode.LAB), by())
        error = check(tenant, exit_code=int(code is not None))["probe"]["error"]
        assert (error and error["code"]) == code
    missing = command_line.here(
        "routes", "check", "object_store", "-t", "t_nobody", "-e", "dev", "--json"
    )
    assert missing.exit_code == 1
    assert getattr(missing.exception, "code", "") == "ROUTE_NOT_FOUND"


def test_health_tells_of_an_outage_while_commands_wait_and_of_its_end(
    two_workers: RunningStack, s3: S3StandIn
) -> None:
    registry, tenant = two_workers.registry(), "t_outage_view"
    scope = object_scope(tenant)
    down = s3_config(s3, endpoint_url=f"http://127.0.0.1:{free_port()}")
    registry.set(scope, RouteTarget("s3", down, Mode.LAB), by())
    with two_workers.client() as client:
        book = UsageBook(client.state)
        submitted = client.submit_many(put(tenant, f"k{number}") for number in range(6))
        wait_until(lambda: book.read([scope])[0].health == "UNAVAILABLE", "it is seen")
        assert client.ledger.outcomes([s.command.ref for s in submitted]) == [None] * 6
        [route] = listed("-t", tenant)["routes"]
        assert (route["health"], route["use"]["writes"]) == ("UNAVAILABLE", 0)
        assert route["last_error_at"]
        registry.switch(scope, RouteTarget("s3", s3_config(s3), Mode.LAB), by())
        outcomes = client.wait(submitted, TIMEOUT)
        assert [o.error for o in outcomes if o] == [None] * 6
        [route] = listed("-t", tenant)["routes"]
        assert (route["health"], route["use"]["writes"]) == ("ok", 6)
        client.run(DeleteObject(tenant_id=tenant, env="dev", key="k0"), TIMEOUT)


def test_cost_is_reckoned_from_the_price_file_and_the_tenants_table(
    two_workers: RunningStack, tmp_path: Path
) -> None:
    tenant, gib = "t_cost", 1024**3
    two_workers.route_to_folder(tenant, "cost")
    give_terms(two_workers.registry(), tenant, quotas={"objects": 9}, price_table="contract")
    prices = tmp_path / "prices.toml"
    prices.write_text(
        "[contract.filesystem]\ngb_month = 1073741.824\nwrites = 500.0\nreads = 2000.0\n"
        f"gb_out = {gib}.0\n"
    )
    with two_workers.client() as client:
        for number in range(2):
            client.run(put(tenant, f"k{number}", 500), TIMEOUT)
        client.run(GetObject(tenant_id=tenant, env="dev", key="k0"), TIMEOUT)
    found = check(tenant, "--prices", str(prices))
    cost = {name: round(value, 6) for name, value in found["cost_this_month"].items()}
    assert cost == {"storage": 1.0, "writes": 1.0, "reads": 2.0, "out": 500.0, "total": 504.0}
    assert found["quota"]["objects"] == 9
    default = check(tenant)["cost_this_month"]
    assert default["error"]["code"] == "INVALID_SETTING"
    assert "contract" in default["error"]["message"]
