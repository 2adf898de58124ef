"""Presigned forms and addresses, verified offline: moto accepts forged and expired ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from signalbox.adapters.capability import Capability
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.s3.object_driver import open_driver
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import Unsupported
from signalbox.commands.object_store import PresignGet, PresignPost
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope

SECRET = "s3cr3t"
SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_demo", env="dev")
WHO: dict[str, Any] = {"tenant_id": "t_demo", "env": "dev"}


@pytest.fixture
def credentials_file(tmp_path: Path) -> str:
    path = tmp_path / "credentials.ini"
    path.write_text(f"[default]\naws_access_key_id = AKIDLAB\naws_secret_access_key = {SECRET}\n")
    return str(path)


def make_store(credentials_file: str, **config: Any) -> ObjectStore:
    full = {"bucket": "data", "region": "eu-west-1", "credentials_file": credentials_file} | config
    return ObjectStore(open_driver(AdapterContext(SCOPE, Mode.LAB, full)))


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return Call("op-1", 1, False, lease_clock() + 30, DirectoryPayloadStore(tmp_path))


def signature(date: str, region: str, text: str) -> str:
    """SigV4 as in AWS's "Signature calculation", step by step."""
    key = f"AWS4{SECRET}".encode()
    for part in (date[:8], region, "s3", "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def signed_address(url: str, region: str) -> tuple[str, str]:
    """The signature that stands in a presigned GET, and the one that belongs there."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    given = query.pop("X-Amz-Signature")
    canonical_query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in sorted(query.items())
    )
    request = "\n".join(
        ["GET", parts.path, canonical_query, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"]
    )
    date = query["X-Amz-Date"]
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{date}\n{date[:8]}/{region}/s3/aws4_request\n{digest}"
    return given, signature(date, region, text)


def test_a_form_takes_exactly_its_key_type_and_size_and_is_signed_with_v4(
    credentials_file: str, call: Call
) -> None:
    command = PresignPost(
        key="up/ü $1.png",
        content_type="image/png",
        min_bytes=1,
        max_bytes=5000,
        expires=timedelta(minutes=5),
        **WHO,
    )
    before = datetime.now(UTC)
    form = make_store(credentials_file).presign_post(command, call)
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    conditions = policy["conditions"]
    assert {"key": "tenants/t_demo/dev/raw/up/ü $1.png"} in conditions
    assert form.fields["key"] == "tenants/t_demo/dev/raw/up/ü $1.png"
    assert {"bucket": "data"} in conditions
    assert {"Content-Type": "image/png"} in conditions
    assert form.fields["Content-Type"] == "image/png"
    assert ["content-length-range", 1, 5000] in conditions
    assert not [entry for entry in conditions if "starts-with" in entry]
    expiration = datetime.fromisoformat(policy["expiration"])
    second, lasts = timedelta(seconds=1), timedelta(minutes=5)
    assert before - second <= expiration - lasts <= datetime.now(UTC) + second
    assert abs(expiration - form.expires_at) <= timedelta(seconds=1)
    assert form.fields["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    assert form.fields["x-amz-credential"].endswith("/eu-west-1/s3/aws4_request")
    expected = signature(form.fields["x-amz-date"], "eu-west-1", form.fields["policy"])
    assert form.fields["x-amz-signature"] == expected
    assert form.url == "https://data.s3.eu-west-1.amazonaws.com/"
    # Every field but the policy and its signature must be covered by a condition.
    covered = {name for entry in conditions if isinstance(entry, dict) for name in entry}
    assert set(form.fields) - covered == {"policy", "x-amz-signature"}


def test_a_form_for_an_encrypted_bucket_demands_the_encryption(
    credentials_file: str, call: Call
) -> None:
    command = PresignPost(key="a", content_type="image/png", max_bytes=1, **WHO)
    form = make_store(credentials_file, kms_key_id="k-1").presign_post(command, call)
    conditions = json.loads(base64.b64decode(form.fields["policy"]))["conditions"]
    assert {"x-amz-server-side-encryption-aws-kms-key-id": "k-1"} in conditions


@pytest.mark.parametrize(
    ("config", "region", "address"),
    [
        ({}, "eu-west-1", "https://data.s3.eu-west-1.amazonaws.com/"),
        ({"region": "us-east-1"}, "us-east-1", "https://data.s3.us-east-1.amazonaws.com/"),
        ({"addressing_style": "path"}, "eu-west-1", "https://s3.eu-west-1.amazonaws.com/data/"),
        ({"bucket": "my.data"}, "eu-west-1", "https://s3.eu-west-1.amazonaws.com/my.data/"),
        ({"endpoint_url": "http://minio:9000"}, "eu-west-1", "http://minio:9000/data/"),
        (
            {"endpoint_url": "https://s3.example.org", "addressing_style": "virtual"},
            "eu-west-1",
            "https://data.s3.example.org/",
        ),
        (
            {"bucket": "arn:aws:s3:eu-north-1:123456789012:accesspoint/lab"},
            "eu-north-1",
            "https://lab-123456789012.s3-accesspoint.eu-north-1.amazonaws.com/",
        ),
    ],
)
def test_an_address_leads_to_the_regions_own_host_and_its_signature_holds(
    credentials_file: str, call: Call, config: dict[str, Any], region: str, address: str
) -> None:
    command = PresignGet(key="a b/ü+%.txt", expires=timedelta(hours=1), **WHO)
    answer = make_store(credentials_file, **config).presign_get(command, call)
    key = quote("tenants/t_demo/dev/raw/a b/ü+%.txt", safe="/-_.~")
    assert answer.url.startswith(f"{address}{key}?")
    assert "X-Amz-Expires=3600" in answer.url
    given, expected = signed_address(answer.url, region)
    assert given == expected


def test_an_access_point_takes_no_forms_and_says_so(credentials_file: str, call: Call) -> None:
    bucket = "arn:aws:s3:eu-north-1:123456789012:accesspoint/lab"
    store = make_store(credentials_file, bucket=bucket)
    assert Capability.PRESIGN_POST not in store.capabilities
    with pytest.raises(Unsupported) as caught:
        store.presign_post(PresignPost(key="a", content_type="a/b", max_bytes=1, **WHO), call)
    assert caught.value.next_step
