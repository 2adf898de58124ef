"""What ends with its lease, on a service that none of us wrote; and what it lacks is found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.s3.object_driver import open_driver
from signalbox.adapters.service_clock import Past
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired, WeakerFences
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.testing.harness import Harness
from signalbox.testing.object_caller import ObjectCaller
from tests.conformance.s3rver_harness import s3rver_harness

OpenObjects = Callable[..., ObjectCaller]
LARGE = bytes(9 * 1024**2)


class PastCall(Past, Call):
    """Over a minute ago when it is sent."""


class Held(Call):
    """Signed in time, and sent when the lease is over."""

    def remaining(self) -> float:
        left = super().remaining()
        if self.__dict__["free"] == 0:
            time.sleep(max(0.0, self.deadline - lease_clock()))
        self.__dict__["free"] -= 1
        return left


@pytest.fixture(scope="module")
def s3rver() -> Iterator[Harness]:
    with s3rver_harness() as harness:
        yield harness


@pytest.fixture(params=["auto", "boto3"])
def open_objects(
    request: pytest.FixtureRequest, s3rver: Harness, tenant: str, tmp_path: Path
) -> OpenObjects:
    def open_one(**config: Any) -> ObjectCaller:
        scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="dev")
        whole = s3rver.config | {"engine": request.param} | config
        store = ObjectStore(open_driver(AdapterContext(scope, Mode.LAB, whole)))
        return ObjectCaller(store, tenant, "dev", DirectoryPayloadStore(tmp_path / "payloads"))

    return open_one


@pytest.mark.parametrize("fenced", [True, False])
def test_what_comes_in_time_is_done_and_what_comes_late_is_refused(
    open_objects: OpenObjects, fenced: bool
) -> None:
    objects = open_objects(fenced_writes=fenced)
    objects.put("a", b"one", content_type="text/plain", metadata={"colour": "green  blue"})
    payload = objects.payloads.stage([LARGE])
    objects.put("large", payload)
    late = PastCall(**vars(objects.call()))
    for act in (
        lambda: objects.put("a", b"late", call=late),
        lambda: objects.put("large", payload, call=late),
        lambda: objects.delete("a", call=late),
    ):
        with pytest.raises(LeaseExpired):
            act()
    assert objects.read("a") == b"one"
    assert objects.head("large").size == len(LARGE)
    objects.delete("a")
    assert objects.keys() == ["large"]


def test_a_request_is_refused_once_its_lease_is_over(open_objects: OpenObjects) -> None:
    objects = open_objects(fenced_writes=False)
    held = Held(**vars(objects.call(seconds=4)))
    # boto3 asks once before it signs.
    held.__dict__["free"] = 1 if objects.store.driver.config.engine == "boto3" else 0  # type: ignore[attr-defined]
    with pytest.raises(LeaseExpired):
        objects.put("a", b"late", call=held)
    assert objects.keys() == []


def test_that_it_knows_no_conditions_is_found_out_and_may_be_accepted(
    open_objects: OpenObjects,
) -> None:
    objects = open_objects()
    objects.put("a")
    with pytest.raises(WeakerFences) as found:
        objects.store.check_fences("a", objects.call())
    assert "writes whatever the condition" in found.value.message
    assert "deletes whatever the condition" in found.value.message
    assert "requests that are over" not in found.value.message
    accepting = open_objects(weaker_fences="accept")
    accepting.put("a")
    accepting.store.check_fences("a", accepting.call())
