"""What AWS asks of a request that is signed in its query, and moto does not look at.

The signature is recomputed by botocore; the rest follows AWS, "Authenticating Requests: Using Query
Parameters": every `x-amz-…` header is signed, and the request came before its expiry.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEYS = {"conformance": "conformance"}
"""Secrets by access key: signatures of others are taken, as moto does."""


def refusal(method: str, target: str, headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Code and message for a request that AWS would refuse. `target` is as it came, names of
    headers are in lower case."""
    parts = urlsplit(target)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = dict(pairs)
    if "X-Amz-Signature" not in query:
        return None
    begins = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ends = begins.timestamp() + int(query["X-Amz-Expires"])
    if time.time() > ends:
        return "AccessDenied", "Request has expired"
    if begins.timestamp() > time.time() + 900:
        return "AccessDenied", "Request is not valid yet"
    signed = query["X-Amz-SignedHeaders"].split(";")
    if unsigned := [name for name in headers if name.startswith("x-amz-") and name not in signed]:
        return "AccessDenied", f"There were headers present which were not signed: {unsigned}"
    if "host" not in signed:
        return "AccessDenied", "host is not signed"
    access_key = query["X-Amz-Credential"].partition("/")[0]
    if access_key in KEYS and query["X-Amz-Signature"] != _signature(
        method, parts.path, pairs, headers, signed
    ):
        return "SignatureDoesNotMatch", "The signature does not match"
    return None


def _signature(
    method: str,
    path: str,
    pairs: list[tuple[str, str]],
    headers: Mapping[str, str],
    signed: list[str],
) -> str:
    query = dict(pairs)
    access_key, _, region, service, _ = query["X-Amz-Credential"].split("/")
    auth = S3SigV4QueryAuth(
        Credentials(access_key, KEYS[access_key], query.get("X-Amz-Security-Token")),
        service,
        region,
    )
    rest = "&".join(
        f"{quote(name, '')}={quote(value, '')}"
        for name, value in pairs
        if name != "X-Amz-Signature"
    )
    request: Any = AWSRequest(
        method,
        f"http://{headers['host']}{path}?{rest}",
        headers={name: headers.get(name, "") for name in signed},
    )
    request.context["timestamp"] = query["X-Amz-Date"]
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return str(auth.signature(text, request))
