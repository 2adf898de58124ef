"""What becomes of what comes over the wire, and of what gets no answer."""

from __future__ import annotations

import os
import select
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext
from signalbox.adapters.s3.client import client_for
from signalbox.adapters.s3.config import read_config
from signalbox.adapters.s3.engine import Target
from signalbox.adapters.s3.object_driver import open_driver
from signalbox.adapters.s3.wire import Wire
from signalbox.adapters.s3.wire_engine import SMALL_BYTES, WireEngine
from signalbox.commands.error import LeaseExpired, SignalboxError, Throttled, Unavailable
from signalbox.commands.object_store import DeleteObject, HeadObject
from signalbox.commands.scope import Mode
from tests.unit.s3.engine_calls import (
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


def test_what_got_no_answer_is_asked_of_boto3_whose_answer_counts(
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
    service.after_request = lambda: monkeypatch.setattr(
        "signalbox.adapters.port.lease_clock", lambda: over
    )
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
    monkeypatch.setattr("signalbox.adapters.deadline.REQUEST_SECONDS", 1)
    service.answers = [None]
    with pytest.raises(Unavailable, match="too slow"):
        put(config, tmp_path)
    assert len(service.requests) == 1


def test_content_that_is_not_of_our_digest_is_read_by_boto3(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    # Metadata stays when someone copies other content over an object.
    service.answers = [answer(headers=OURS, body=b"other")] * 2
    assert read(config, tmp_path) == b"other"
    assert [request.by_boto3 for request in service.requests] == [False, True]


@pytest.mark.parametrize("checksum", ["when_required", "when_supported"])
def test_what_signalbox_did_not_write_is_boto3s_to_check_where_s3_has_a_checksum_of_it(
    service: StandIn, config: dict[str, Any], tmp_path: Path, checksum: str
) -> None:
    service.answers = [answer(headers=FOREIGN, body=b"other")] * 2
    assert read(config | {"checksum": checksum}, tmp_path) == b"other"
    assert service.requests[-1].by_boto3 == (checksum == "when_supported")


@pytest.mark.parametrize("checksum", ["when_required", "when_supported"])
def test_large_content_is_streamed_unless_s3_has_a_checksum_of_it(
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
    store = ObjectStore(open_driver(AdapterContext(SCOPE, Mode.LAB, config)))
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


def test_a_stream_that_breaks_off_is_temporary(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    whole = answer(headers=OURS, body=b"x" * 3 * SMALL_BYTES)
    service.answers = [whole[: -SMALL_BYTES // 2]]
    with pytest.raises(Unavailable, match="broke off") as caught:
        read(config, tmp_path)
    assert caught.value.tenant_id == "t_demo"


def test_new_credentials_are_used_at_once(
    service: StandIn, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalbox.adapters.s3.client.CREDENTIALS_SECONDS", 0)
    service.answers = [STORED] * 2
    put(config, tmp_path)
    credentials: Any = client_for(read_config(config), SCOPE)._request_signer._credentials  # type: ignore[attr-defined]
    credentials._frozen_credentials = credentials._frozen_credentials._replace(access_key="NEW")
    put(config, tmp_path)
    keys = [request.line.partition("X-Amz-Credential=")[2][:3] for request in service.requests]
    assert keys == ["LAB", "NEW"]


def test_a_child_has_connections_of_its_own(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    service.answers = [STORED] * 3
    put(config, tmp_path)
    before = engine(config)
    child = os.fork()
    if child == 0:
        fits = isinstance(engine(config), WireEngine) and engine(config)._wire is not before._wire  # type: ignore[attr-defined]
        os._exit(0 if fits and put(config, tmp_path) == MD5_OF_ONE else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    put(config, tmp_path)
    assert [request.by_boto3 for request in service.requests] == [False] * 3


def test_a_connection_is_used_again_and_not_once_the_service_has_closed_it() -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            came.append(self.client_address[1])
            self.close_connection = self.path == "/last"
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None: ...

    came: list[int] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        wire = Wire(f"http://127.0.0.1:{server.server_port}")
        for path in ("/", "/", "/last"):
            assert wire.send("GET", path, {"host": wire.host}).body == b"ok"
        (kept,) = wire._idle
        poll = select.poll()
        poll.register(kept.socket.fileno(), select.POLLIN)
        assert poll.poll(30_000), "the service has not closed it"
        assert wire.send("GET", "/", {"host": wire.host}).body == b"ok"
        server.shutdown()
    assert came[0] == came[1] == came[2] != came[3]
