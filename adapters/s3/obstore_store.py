"""obstore's stores: made on first use, with fixed credentials, and never across a fork."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.store import S3Store

from adapters.s3.config import S3Config
from adapters.s3.obstore_rule import environment_fits

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from mypy_boto3_s3 import S3Client
    from obstore.store import S3Config as StoreConfig
    from obstore.store import S3Credential

CONNECT_SECONDS = 5
READ_SECONDS = 20

_used = False
_lost = False


@dataclass
class KeptStore:
    """A store, and what was learnt of its bucket."""

    store: S3Store
    etags_are_digests: bool = True
    """Whether the ETag of a put is the MD5 of its content."""


def usable(client: S3Client) -> bool:
    """Whether this process may use obstore for what `client` reaches."""
    return not _lost and environment_fits(client.meta.endpoint_url)


def make_store(config: S3Config, client: S3Client, credentials: ReadOnlyCredentials) -> KeptStore:
    """A store for one bucket, with all that the environment could say otherwise said here.

    It sends a request once: the lease is asked before, and a second attempt is boto3's.
    """
    global _used
    _used = True
    secrets: S3Credential = {
        "access_key_id": credentials.access_key or "",
        "secret_access_key": credentials.secret_key or "",
        "token": credentials.token,
        "expires_at": None,
    }
    virtual = config.style == "virtual"
    endpoint = client.meta.endpoint_url
    if virtual:
        parts = urlsplit(endpoint)
        endpoint = parts._replace(netloc=f"{config.bucket}.{parts.netloc}").geturl()
    said: StoreConfig = {
        "aws_endpoint_url_s3": endpoint,
        "endpoint": endpoint,
        "region": client.meta.region_name,
        "virtual_hosted_style_request": virtual,
        "skip_signature": False,
        # The signed digest is what S3 holds a body against, whether or not it knows checksums.
        "unsigned_payload": False,
        "request_payer": False,
        "s3_express": False,
        "conditional_put": "etag",
        "disable_bulk_delete": True,
    }
    if config.checksums == "when_supported":
        said["checksum_algorithm"] = "SHA256"
    store = S3Store(
        config.bucket,
        config=said,
        credential_provider=lambda: secrets,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": f"{CONNECT_SECONDS}s",
            "read_timeout": f"{READ_SECONDS}s",
            # Of a whole answer, however long its reader takes.
            "timeout": "1d",
        },
        retry_config={"max_retries": 0},
    )
    return KeptStore(store)


def _forked() -> None:
    # Its threads are gone, and it would wait for them for ever.
    global _lost
    _lost = _used


os.register_at_fork(after_in_child=_forked)
