"""Every way in which S3 and botocore fail, as one of our errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.awsrequest import AWSResponse
from botocore.stub import Stubber

from signalbox.adapters.aws.client import bounded
from signalbox.adapters.failure import Reporter
from signalbox.adapters.object_range import PastEnd
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.s3.client import client_for
from signalbox.adapters.s3.config import read_config
from signalbox.adapters.s3.failure import SERVICE, translate
from signalbox.adapters.s3.object_driver import open_driver
from signalbox.commands import error as errors
from signalbox.commands.clock import lease_clock
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_demo", env="dev")
WHO: dict[str, Any] = {"tenant_id": "t_demo", "env": "dev"}


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "credentials.ini"
    path.write_text("[default]\naws_access_key_id = AKIDLAB\naws_secret_access_key = s3cr3t\n")
    return {
        "bucket": "data",
        "region": "eu-west-1",
        "credentials_file": str(path),
        # The stub stands within boto3.
        "engine": "boto3",
    }


@pytest.fixture
def stub(config: dict[str, Any]) -> Iterator[Stubber]:
    with Stubber(client_for(read_config(config))) as stub:
        yield stub


def make_call(tmp_path: Path, seconds: float = 30) -> Call:
    return Call("op-1", 1, False, lease_clock() + seconds, DirectoryPayloadStore(tmp_path))


ANSWERS: list[tuple[str, int, type[errors.SignalboxError]]] = [
    ("NoSuchKey", 404, errors.NotFound),
    ("NoSuchBucket", 404, errors.Misconfigured),
    ("NoSuchAccessPoint", 404, errors.Misconfigured),
    ("PermanentRedirect", 301, errors.Misconfigured),
    ("301", 301, errors.Misconfigured),
    ("AuthorizationHeaderMalformed", 400, errors.Misconfigured),
    ("IllegalLocationConstraintException", 400, errors.Misconfigured),
    ("TemporaryRedirect", 307, errors.Unavailable),
    ("AccessDenied", 403, errors.PermissionDenied),
    ("403", 403, errors.PermissionDenied),
    ("InvalidAccessKeyId", 403, errors.PermissionDenied),
    ("SignatureDoesNotMatch", 403, errors.PermissionDenied),
    ("ExpiredToken", 400, errors.PermissionDenied),
    ("RequestTimeTooSkewed", 403, errors.PermissionDenied),
    ("SlowDown", 503, errors.Throttled),
    ("ServiceUnavailable", 503, errors.Throttled),
    ("RequestLimitExceeded", 400, errors.Throttled),
    ("TooManyRequests", 429, errors.Throttled),
    ("503", 503, errors.Throttled),
    ("InternalError", 500, errors.Unavailable),
    ("502", 502, errors.Unavailable),
    ("504", 504, errors.Unavailable),
    ("RequestTimeout", 400, errors.Unavailable),
    ("OperationAborted", 409, errors.Unavailable),
    ("ConditionalRequestConflict", 409, errors.Unavailable),
    ("BadDigest", 400, errors.Unavailable),
    ("PreconditionFailed", 412, errors.PreconditionFailed),
    ("InvalidRange", 416, PastEnd),
    ("EntityTooLarge", 400, errors.TooLarge),
    ("MetadataTooLarge", 400, errors.TooLarge),
    ("KeyTooLongError", 400, errors.InvalidKey),
    ("InvalidObjectState", 403, errors.Unsupported),
    ("NotImplemented", 501, errors.Unsupported),
    ("XMinioStorageFull", 507, errors.InsufficientStorage),
    ("KMS.DisabledException", 400, errors.Misconfigured),
    ("SomethingNew", 400, errors.Misconfigured),
    ("SomethingNew", 599, errors.Unavailable),
]


@pytest.mark.parametrize(("code", "status", "kind"), ANSWERS, ids=lambda value: str(value)[-40:])
def test_an_answer_of_s3_becomes_a_typed_error_that_names_its_place(
    stub: Stubber,
    config: dict[str, Any],
    tmp_path: Path,
    code: str,
    status: int,
    kind: type[errors.SignalboxError],
) -> None:
    stub.add_client_error("get_object", code, "the secret is s3cr3t", status)
    store = ObjectStore(open_driver(AdapterContext(SCOPE, Mode.LAB, config)))
    with pytest.raises(errors.SignalboxError) as caught:
        store.get(GetObject(key="a.txt", **WHO), make_call(tmp_path))
    assert type(caught.value) is kind
    detail = caught.value.detail()
    assert (detail.kind, detail.tenant_id, detail.env, detail.backend_type) == (
        "object_store",
        "t_demo",
        "dev",
        "s3",
    )
    assert detail.next_step
    assert "s3cr3t" not in str(caught.value)


def _families() -> list[type[boto.BotoCoreError]]:
    found = [value for value in vars(boto).values() if isinstance(value, type)]
    return [value for value in found if issubclass(value, boto.BotoCoreError)]


@pytest.mark.parametrize("family", _families(), ids=lambda family: family.__name__)
def test_no_family_of_botocore_errors_gets_through(family: type[boto.BotoCoreError]) -> None:
    error = family.__new__(family)
    translated = translate(error)
    assert isinstance(translated, errors.BackendError | errors.InvalidCommand)
    assert translated.next_step


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (boto.NoCredentialsError(), errors.PermissionDenied),
        (boto.PartialCredentialsError(provider="x", cred_var="y"), errors.PermissionDenied),
        (boto.ProfileNotFound(profile="lab"), errors.Misconfigured),
        (boto.EndpointConnectionError(endpoint_url="http://x"), errors.Unavailable),
        (boto.ConnectTimeoutError(endpoint_url="http://x"), errors.Unavailable),
        (boto.ReadTimeoutError(endpoint_url="http://x"), errors.Unavailable),
        (boto.ConnectionClosedError(endpoint_url="http://x"), errors.Unavailable),
        (boto.ResponseStreamingError(error="cut"), errors.Unavailable),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), errors.Unavailable),
        (boto.FlexibleChecksumError(error_msg="x"), errors.IntegrityMismatch),
        (boto.ParamValidationError(report="content s3cr3t"), errors.InvalidCommand),
        (boto.InvalidRegionError(region_name="??"), errors.Misconfigured),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_on_our_side_becomes_a_typed_error(
    error: boto.BotoCoreError, kind: type[errors.SignalboxError]
) -> None:
    with pytest.raises(errors.SignalboxError) as caught, Reporter(SERVICE, SCOPE).errors():
        raise error
    assert type(caught.value) is kind
    assert caught.value.tenant_id == "t_demo"
    assert "s3cr3t" not in str(caught.value)


def test_a_bucket_in_another_region_raises_instead_of_being_followed(
    config: dict[str, Any], tmp_path: Path
) -> None:
    asked: list[str] = []

    def moved(request: Any, **_: Any) -> Any:
        asked.append(request.method)
        headers: Any = {"x-amz-bucket-region": "us-west-2"}
        response: Any = AWSResponse(request.url, 301, headers, None)
        response._content = b"<Error><Code>PermanentRedirect</Code></Error>"
        return response

    client = client_for(read_config(config))
    client.meta.events.register_first("before-send.s3", moved, unique_id="moved")
    try:
        store = ObjectStore(open_driver(AdapterContext(SCOPE, Mode.LAB, config)))
        with pytest.raises(errors.Misconfigured, match="another region"):
            store.get(GetObject(key="a.txt", **WHO), make_call(tmp_path))
    finally:
        client.meta.events.unregister("before-send.s3", unique_id="moved")
    assert asked == ["GET"]


def test_nothing_is_sent_once_the_lease_is_over(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    store = ObjectStore(open_driver(AdapterContext(SCOPE, Mode.LAB, config)))
    command = PutObject(key="a.txt", payload=InlinePayload(data=b"x"), **WHO)
    with pytest.raises(errors.LeaseExpired):
        store.put(command, make_call(tmp_path, seconds=-1))
    stub.assert_no_pending_responses()


def test_botocores_own_second_attempt_needs_the_lease_too(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_for(read_config(config))
    call = make_call(tmp_path)
    attempts: list[int] = []

    def break_and_expire(**_: Any) -> None:
        attempts.append(1)
        monkeypatch.setattr("signalbox.adapters.port.lease_clock", lambda: call.deadline + 1)
        raise boto.ConnectionClosedError(endpoint_url="http://x")

    client.meta.events.register("before-send.s3", break_and_expire, unique_id="break")
    try:
        with pytest.raises(errors.LeaseExpired), bounded(call):
            client.put_object(Bucket="data", Key="k", Body=b"")
    finally:
        client.meta.events.unregister("before-send.s3", unique_id="break")
    assert attempts == [1]
