"""Our signatures are those that botocore makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from signalbox.adapters.aws.query_signature import Signer

AT = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "to/ken=="])
@pytest.mark.parametrize("path", ["/", "/data/a%20b/%C3%BC//x", "/a/../b/", "/~a.b-c_d"])
@pytest.mark.parametrize("query", ["", "partNumber=1&uploadId=a%2Bb&x-id=UploadPart", "a-b=1&a=2"])
def test_a_signature_is_that_of_botocore(
    monkeypatch: pytest.MonkeyPatch, token: str | None, path: str, query: str
) -> None:
    headers = {
        "content-type": "text/plain;  charset=utf-8",
        "x-amz-meta-a": "one   two",
        "x-amz-meta-a-b": "",
        "if-none-match": "*",
        "host": "h.example:99",
    }
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: AT)
    request: Any = AWSRequest("PUT", f"http://h.example:99{path}?{query}", headers=headers)
    S3SigV4QueryAuth(Credentials("AK/ID", "secret", token), "s3", "eu-x-1", expires=7).add_auth(
        request
    )
    at = int(AT.timestamp())
    ours = Signer("AK/ID", "secret", token, "eu-x-1").sign(
        "PUT", path, parse_qsl(query), headers, at=at, expiry=at + 7
    )
    assert dict(parse_qsl(ours)) == dict(parse_qsl(urlsplit(request.url).query))
