"""What becomes of what obstore answers, and of what fails by it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from adapters.port import AdapterContext
from adapters.s3.client import client_for
from adapters.s3.config import read_config
from adapters.s3.engine import Target
from adapters.s3.object_store import open_adapter
from adapters.s3.obstore_engine import ObstoreEngine
from adapters.s3.obstore_rule import SMALL_BYTES
from commands.error import LeaseExpired, SignalboxError, Throttled, Unavailable
from commands.object_store import DeleteObject, HeadObject
from commands.scope import Mode
from tests.unit.s3.desk import (
    FOREIGN,
    MD5_OF_ONE,
    OURS,
    SCOPE,
    STORED,
    WHO,
    engine,
    make_call,
    put,
    read,
)
from tests.unit.s3.stand_in import StandIn, answer, stand_in


def test_what_fails_by_obstore_is_asked_of_boto3_whose_answer_counts(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    # A pooled connection gone stale: the service closes without an answer.
    service.answers = [b"", answer(headers={"ETag": '"second"'})]
    assert put(config, tmp_path) == "second"
    assert [request.by_boto3 for request in service.requests] == [False, True]


def test_the_second_attempt_needs_the_lease_too(
    service: StandIn, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answers = [b""]
    call = make_call(tmp_path)
    over = call.deadline + 1
    service.after_request = lambda: monkeypatch.setattr("adapters.port.lease_clock", lambda: over)
    target = Target(read_config(config), "a", "text/plain", {})
    with pytest.raises(LeaseExpired):
        engine(config).put(target, b"one", call, {})
    assert len(service.requests) == 1


def test_nothing_is_sent_once_the_lease_is_over(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    target = Target(read_config(config), "a", "text/plain", {})
    with pytest.raises(LeaseExpired):
        engine(config).put(target, b"one", make_call(tmp_path, -1), {})
    assert service.requests == []


@pytest.mark.parametrize(
    ("status", "kind"), [(503, Throttled), (429, Throttled), (500, Unavailable)]
)
def test_a_service_that_is_down_is_not_asked_twice(
    service: StandIn, config: dict[str, Any], tmp_path: Path, status: int, kind: type[Exception]
) -> None:
    service.answers = [answer(status, body=b"<Error><Message>s3cr3t</Message></Error>")]
    with pytest.raises(kind) as caught:
        put(config, tmp_path)
    assert "s3cr3t" not in str(caught.value)
    assert len(service.requests) == 1


def test_a_service_that_does_not_answer_is_not_asked_twice(
    service: StandIn, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.s3.obstore_store.READ_SECONDS", 1)
    service.answers = [None]
    with pytest.raises(Unavailable, match="timed out"):
        put(config, tmp_path)
    assert len(service.requests) == 1


def test_content_that_is_not_of_our_digest_is_read_by_boto3(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    # Metadata stays when someone copies other content over an object.
    service.answers = [answer(headers=OURS, body=b"other")] * 2
    assert read(config, tmp_path) == b"other"
    assert [request.by_boto3 for request in service.requests] == [False, True]


def test_what_signalbox_did_not_write_is_read_by_boto3(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    service.answers = [answer(headers=FOREIGN, body=b"other")] * 4
    assert read(config, tmp_path) == b"other"
    there = engine(config).look("a", sure=True)
    assert there is not None
    assert there.etag == "abc"
    assert [request.by_boto3 for request in service.requests] == [False, True] * 2


@pytest.mark.parametrize("checksum", ["when_required", "when_supported"])
def test_large_content_is_streamed_by_obstore_unless_s3_has_a_checksum_of_it(
    service: StandIn, config: dict[str, Any], tmp_path: Path, checksum: str
) -> None:
    content = os.urandom(3 * SMALL_BYTES + 7)
    service.answers = [answer(headers=OURS, body=content)] * 2
    assert read(config | {"checksum": checksum}, tmp_path) == content
    assert service.requests[-1].by_boto3 == (checksum == "when_supported")


REDIRECTS = [301, 302, 303, 307, 308]


@pytest.mark.parametrize("status", REDIRECTS)
def test_no_redirect_is_taken_for_an_answer(
    service: StandIn, config: dict[str, Any], tmp_path: Path, status: int
) -> None:
    store = open_adapter(AdapterContext(SCOPE, Mode.LAB, config))
    call = make_call(tmp_path)
    for act in (
        lambda: put(config, tmp_path),
        lambda: read(config, tmp_path),
        lambda: store.head(HeadObject(key="a", **WHO), call),
        lambda: store.delete(DeleteObject(key="a", **WHO), call),
    ):
        with stand_in() as elsewhere:
            elsewhere.answers = [answer(headers=FOREIGN, body=b"a page")] * 3
            moved = answer(status, headers={"Location": f"{elsewhere.endpoint}/page"})
            service.answers = [moved] * 4
            with pytest.raises(SignalboxError) as caught:
                act()
            assert caught.value.code != "NOT_FOUND"


def test_etags_that_are_no_digests_are_confirmed_once_and_then_left_to_boto3(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    stored = answer(headers={"ETag": '"abc"'})
    service.answers = [stored, answer(headers=OURS), stored]
    assert put(config, tmp_path) == "abc"
    assert put(config, tmp_path) == "abc"
    asked = [(request.line.split(" ")[0], request.by_boto3) for request in service.requests]
    assert asked == [("PUT", False), ("HEAD", True), ("PUT", True)]


def test_a_stream_that_breaks_off_is_temporary(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    whole = answer(headers=OURS, body=b"x" * 3 * SMALL_BYTES)
    service.answers = [whole[: -SMALL_BYTES // 2]]
    with pytest.raises(Unavailable, match="broke off") as caught:
        read(config, tmp_path)
    assert caught.value.tenant_id == "t_demo"


def test_new_credentials_make_a_new_store(
    service: StandIn, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.s3.client.CREDENTIALS_SECONDS", 0)
    service.answers = [STORED] * 2
    put(config, tmp_path)
    credentials: Any = client_for(read_config(config), SCOPE)._request_signer._credentials  # type: ignore[attr-defined]
    credentials._frozen_credentials = credentials._frozen_credentials._replace(access_key="NEW")
    put(config, tmp_path)
    keys = [request.headers["authorization"].split("/")[0] for request in service.requests]
    assert [key.rpartition("=")[2] for key in keys] == ["LAB", "NEW"]


def test_a_child_of_a_process_that_used_obstore_uses_boto3(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    service.answers = [STORED] * 2
    put(config, tmp_path)
    child = os.fork()
    if child == 0:
        fits = isinstance(engine(config), ObstoreEngine)
        os._exit(1 if fits or put(config, tmp_path) != MD5_OF_ONE else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert isinstance(engine(config), ObstoreEngine)
    assert [request.by_boto3 for request in service.requests] == [False, True]
