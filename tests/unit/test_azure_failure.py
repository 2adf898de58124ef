"""Every way in which Azure and its SDK fail, as one of our errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.azure_blob import expiry
from signalbox.adapters.azure_blob.object_driver import open_driver
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands import error as errors
from signalbox.commands.clock import lease_clock
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope
from tests.unit.azure_stand_in import StandIn, stand_in

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_demo", env="dev")
WHO: dict[str, Any] = {"tenant_id": "t_demo", "env": "dev"}
KEY = "aHVudGVyMg=="
CONTENT = b"of nobody's business"

ANSWERS: list[tuple[str, int, type[errors.SignalboxError]]] = [
    ("BlobNotFound", 404, errors.NotFound),
    ("ContainerNotFound", 404, errors.Misconfigured),
    ("ContainerBeingDeleted", 409, errors.Misconfigured),
    ("AccountIsDisabled", 403, errors.Misconfigured),
    ("InvalidBlobType", 409, errors.Misconfigured),
    ("", 301, errors.Misconfigured),
    ("", 307, errors.Misconfigured),
    ("AuthenticationFailed", 403, errors.PermissionDenied),
    ("AuthorizationPermissionMismatch", 403, errors.PermissionDenied),
    ("InvalidAuthenticationInfo", 400, errors.PermissionDenied),
    ("NoAuthenticationInformation", 401, errors.PermissionDenied),
    ("UnauthorizedBlobOverwrite", 403, errors.PermissionDenied),
    ("BlobImmutableDueToPolicy", 409, errors.PermissionDenied),
    ("ServerBusy", 503, errors.Throttled),
    ("TooManyRequests", 429, errors.Throttled),
    ("InternalError", 500, errors.Unavailable),
    ("OperationTimedOut", 500, errors.Unavailable),
    ("", 502, errors.Unavailable),
    ("", 504, errors.Unavailable),
    ("", 408, errors.Unavailable),
    ("PendingCopyOperation", 409, errors.Unavailable),
    ("LeaseIdMissing", 412, errors.Unavailable),
    ("InvalidBlockList", 400, errors.Unavailable),
    ("Md5Mismatch", 400, errors.Unavailable),
    ("RequestBodyTooLarge", 413, errors.TooLarge),
    ("MetadataTooLarge", 400, errors.TooLarge),
    ("InvalidResourceName", 400, errors.InvalidKey),
    ("InvalidHeaderValue", 400, errors.InvalidCommand),
    ("BlobArchived", 409, errors.Unsupported),
    ("InsufficientStorage", 507, errors.InsufficientStorage),
    ("SomethingNew", 418, errors.BackendError),
]


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text(KEY)
    return str(path)


def store_at(url: str, key_file: str) -> ObjectStore:
    # Unfenced, so that a put is one request.
    config = {
        "account_url": url,
        "container": "data",
        "account_key_file": key_file,
        "fenced_writes": False,
    }
    return ObjectStore(open_driver(AdapterContext(SCOPE, Mode.LAB, config)))


def put(store: ObjectStore, folder: Path, seconds: float = 30) -> None:
    call = Call("op-1", 1, False, lease_clock() + seconds, DirectoryPayloadStore(folder))
    store.put(PutObject(key="a", payload=InlinePayload(data=CONTENT), **WHO), call)


@pytest.mark.parametrize(("code", "status", "kind"), ANSWERS)
def test_an_answer_becomes_an_error_that_names_its_place_and_no_content(
    server: StandIn,
    key_file: str,
    tmp_path: Path,
    code: str,
    status: int,
    kind: type[errors.SignalboxError],
) -> None:
    server.status = status
    server.headers = {"Location": "http://127.0.0.1:1/acme"} | (
        {"x-ms-error-code": code} if code else {}
    )
    server.body = b"<Error><Message>" + CONTENT + b"</Message></Error>"
    with pytest.raises(errors.SignalboxError) as refused:
        put(store_at(server.url, key_file), tmp_path)
    assert type(refused.value) is kind
    detail = refused.value.detail()
    assert (detail.tenant_id, detail.backend_type) == ("t_demo", "azure_blob")
    assert detail.next_step
    assert not any(secret in str(refused.value) for secret in (CONTENT.decode(), KEY))
    # Retries belong to the executor.
    assert len(server.came) == 1


def test_the_credentials_of_a_netrc_do_not_replace_those_of_the_route(
    server: StandIn, key_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.status = 403
    with pytest.raises(errors.PermissionDenied):
        put(store_at(server.url, key_file), tmp_path)
    # Its signature stands in the address.
    assert server.came == [""]


def test_nobody_at_the_address_is_unavailable(key_file: str, tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable):
        put(store_at("http://127.0.0.1:1/acme", key_file), tmp_path)


def test_a_silent_server_is_waited_for_no_longer_than_the_lease(
    server: StandIn, key_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.silent = True
    # So that nothing but the lease can end the wait.
    monkeypatch.setattr("signalbox.adapters.deadline.REQUEST_SECONDS", 3600.0)
    monkeypatch.setattr(expiry, "REQUEST_SECONDS", 3600.0)
    with pytest.raises((errors.Unavailable, errors.LeaseExpired)):
        put(store_at(server.url, key_file), tmp_path, seconds=4)


def test_nothing_is_sent_after_the_lease(server: StandIn, key_file: str, tmp_path: Path) -> None:
    with pytest.raises(errors.LeaseExpired):
        put(store_at(server.url, key_file), tmp_path, seconds=-1)
    assert server.came == []


def test_content_that_breaks_off_is_unavailable_and_never_short(
    server: StandIn, key_file: str, tmp_path: Path
) -> None:
    server.status = 206
    server.headers = {
        "Content-Length": "100",
        "Content-Range": "bytes 0-99/100",
        "ETag": '"1"',
        "Last-Modified": "Mon, 05 Jan 2026 12:00:00 GMT",
        "x-ms-blob-type": "BlockBlob",
    }
    server.body = b"half of it"
    call = Call("op-1", 1, False, lease_clock() + 30, DirectoryPayloadStore(tmp_path))
    with pytest.raises(errors.Unavailable):
        store_at(server.url, key_file).get(GetObject(key="a", **WHO), call).body.read()
