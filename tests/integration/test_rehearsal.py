"""`routes switch --dry-run`: what a switch would come to, with nothing changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import RouteConfig
from signalbox.producers.embedded.s3_stand_in import S3StandIn
from tests.integration import command_line
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope
from tests.integration.operating import by, point, take

BUCKET = "dry-bucket"


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


def test_a_dry_run_says_what_a_switch_would_come_to_and_changes_nothing(
    two_workers: RunningStack, s3: S3StandIn
) -> None:
    registry, tenant = two_workers.registry(), "t_dry"
    two_workers.route_to_folder(tenant, "dry")
    with two_workers.client() as client:
        for number in range(3):
            client.run(put(tenant, f"k{number}"), TIMEOUT)
    where = ("-t", tenant, "-e", "dev", "--dry-run")

    def rehearse(backend: str, config: RouteConfig, *more: str, exit_code: int = 0) -> Any:
        options = command_line.options(config)
        head = registry.head()
        words = ("routes", "switch", "object_store", backend, *where, *more, *options)
        found = ask(*words, exit_code=exit_code)
        assert registry.head() == head, "a dry run changed the registry"
        return found

    for mode in ("lab", "saas"):  # what stays behind is on a backend of the lab
        found = rehearse("s3", s3_config(s3), "-m", mode)
        assert found["verdict"] == "allowed"
        assert found["before"]["backend_type"] == "filesystem"
        assert (found["after"]["backend_type"], found["after"]["mode"]) == ("s3", mode)
        assert found["probe"]["error"] is None
        assert found["stays_behind"] == {"objects": 3, "bytes": 30, "at_least": False}

    bad = rehearse("s3", s3_config(s3, bucket="no-such-bucket"), exit_code=1)
    assert (bad["verdict"], bad["probe"]["error"]["code"]) == ("allowed", "MISCONFIGURED")
    folder: RouteConfig = {"base_dir": str(two_workers.data / "x")}
    refused = rehearse("filesystem", folder, "-m", "saas", exit_code=1)
    assert refused["verdict"]["code"] == "FORBIDDEN_BACKEND_CLASS"
    assert "probe" not in refused
    assert not (two_workers.data / "x").exists()
    take(registry, "somebody", scope=object_scope(tenant))
    assert rehearse("s3", s3_config(s3), exit_code=1)["verdict"]["code"] == "ROUTE_LOCKED"
    registry.locks.unlock(object_scope(tenant), by("somebody"))

    # Away from a backend that is broken: that is when an operator asks.
    (two_workers.data / "dry-broken").write_text("a file")
    point(registry, str(two_workers.data / "dry-broken"), scope=object_scope(tenant))
    away = rehearse("s3", s3_config(s3))
    assert (away["verdict"], away["probe"]["error"]) == ("allowed", None)
    assert "MISCONFIGURED" in away["stays_behind"]
