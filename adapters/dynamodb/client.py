"""DynamoDB clients of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from botocore.config import Config

from signalbox.adapters.aws.client import check_limit, shared_client
from signalbox.adapters.aws.credentials import Identity, reference_of
from signalbox.adapters.dynamodb.config import DynamoDBConfig
from signalbox.commands.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
# The executor retries; the second attempt is for a stale pooled connection.
ATTEMPTS = 2
POOL_CONNECTIONS = 64


def client_for(config: DynamoDBConfig, scope: Scope) -> DynamoDBClient:
    """Return the shared client for a config, and with session tags for the scope.

    Makes no network call. Raises Misconfigured, or a botocore error for an invalid reference.
    """
    reference = reference_of(config, scope)
    distinct = ("dynamodb", config.region, config.endpoint)
    client = shared_client(reference, distinct, lambda identity: _make_client(identity, config))
    return cast("DynamoDBClient", client)


def _make_client(identity: Identity, config: DynamoDBConfig) -> DynamoDBClient:
    client = identity.session.client(
        "dynamodb",
        region_name=config.region,
        endpoint_url=config.endpoint,
        config=Config(  # type: ignore[call-arg]  # ignore_… is not in botocore's stubs
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=POOL_CONNECTIONS,
            tcp_keepalive=True,
            # Requests are made only here, and the check takes a tenth of a call's time.
            parameter_validation=False,
            # AWS_ENDPOINT_URL would send data elsewhere than the route says.
            ignore_configured_endpoint_urls=True,
        ),
    )
    client.meta.events.register_first("before-send.dynamodb", check_limit)
    return client
