"""The config of a route to DynamoDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from signalbox.adapters.aws.config import REGION_PATTERN, AwsConfig, aws_route_config, reaches_of
from signalbox.adapters.reach import Reaches
from signalbox.commands.scope import ResourceKind

BACKEND_TYPE = "dynamodb"


class DynamoDBConfig(AwsConfig):
    """One route's config."""

    table: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{3,255}$",
        description="Name of a table with partition key `pk` (S) and sort key `sk` (B).",
    )
    region: str = Field(
        pattern=f"^{REGION_PATTERN}$", description="The table's region, such as eu-central-1."
    )
    consistent_read: bool = Field(
        True, description="false: reads cost half, and may miss what was written a moment ago."
    )


_ROUTE = aws_route_config(
    DynamoDBConfig,
    BACKEND_TYPE,
    # A table's name is its account's, and which account that is only the credentials say.
    location=("table", "region", "endpoint_url", "role_arn", "profile", "credentials_file"),
    required=("table", "region"),
)


def read_config(config: Mapping[str, Any], kind: ResourceKind) -> DynamoDBConfig:
    """Return the validated config; makes no call. Raises InvalidRouteConfig with a next step."""
    return _ROUTE.read(config, kind)


def location(config: Mapping[str, Any], kind: ResourceKind) -> dict[str, Any]:
    """Return what says where the data are. Raises InvalidRouteConfig."""
    return _ROUTE.location_of(config, kind)


def reaches(config: Mapping[str, Any], kind: ResourceKind) -> Reaches:
    """Return what the config reaches. Raises InvalidRouteConfig."""
    return reaches_of(read_config(config, kind))
