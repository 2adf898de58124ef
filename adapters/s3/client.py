"""The process's S3 clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config

from adapters.aws.client import check_lease, shared_client
from adapters.aws.config import DEFAULT_REGION
from adapters.aws.credentials import Identity, reference_of
from adapters.s3.config import S3Config
from commands.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
# Retries belong to the executor; the second attempt is for a pooled connection gone stale.
ATTEMPTS = 2
POOL_CONNECTIONS = 64


def client_for(config: S3Config, scope: Scope | None = None) -> S3Client:
    """The shared client for what of `config` a client depends on, and with session tags of `scope`.

    No call to the backend; raises Misconfigured or a botocore error for a bad reference.
    """
    distinct = ("s3", config.own_region, config.endpoint, config.style, config.checksums)
    reference = reference_of(config, scope)
    client = shared_client(reference, distinct, lambda identity: _make_client(identity, config))
    return cast("S3Client", client)


def _make_client(identity: Identity, config: S3Config) -> S3Client:
    client = identity.session.client(
        "s3",
        region_name=config.own_region or identity.region or DEFAULT_REGION,
        endpoint_url=config.endpoint,
        config=Config(  # type: ignore[call-arg]  # ignore_… is not in botocore's stubs
            # Otherwise SigV2 comes back in presigned addresses.
            signature_version="s3v4",
            s3={
                "addressing_style": config.style,
                "us_east_1_regional_endpoint": "regional",
                "use_arn_region": True,
            },  # type: ignore[arg-type]  # Literals widen in a dict
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=POOL_CONNECTIONS,
            tcp_keepalive=True,
            request_checksum_calculation=config.checksums,
            response_checksum_validation=config.checksums,
            # AWS_ENDPOINT_URL would send data elsewhere than the route says.
            ignore_configured_endpoint_urls=True,
        ),
    )
    client.meta.events.register_last("before-parameter-build.s3", _never_redirect)
    client.meta.events.register_first("before-send.s3", check_lease)
    return client


def _never_redirect(context: dict[str, Any], **_: Any) -> None:
    # botocore follows a 301 to another region silently; the route is then wrong, and says so.
    context.setdefault("s3_redirect", {})["redirected"] = True
