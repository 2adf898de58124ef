"""The config fields common to all routes to AWS services: region, endpoint and credentials."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from signalbox.adapters.reach import Endpoint, Reaches
from signalbox.adapters.route_config import RouteConfig

DEFAULT_REGION = "us-east-1"
"""Region if neither the route nor its profile names one; never taken from the environment."""
REGION_PATTERN = r"[a-z0-9-]{1,40}"

_SECRET = re.compile(
    r"secret|password|passwd|passphrase|token|credential|access_?key|private_?key|api_?key"
)


class AwsConfig(BaseModel):
    """Common config fields. Credentials are only referenced.

    Without a reference, the worker's own identity is used (its role, or its environment).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str | None = Field(
        None, pattern=f"^{REGION_PATTERN}$", description="Such as eu-central-1."
    )
    endpoint_url: str | None = Field(
        None, description="A compatible service; {region} in it stands for the region."
    )
    profile: str | None = Field(None, min_length=1, description="A profile of the worker.")
    role_arn: str | None = Field(
        None, pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$", description="Assumed through STS."
    )
    credentials_file: str | None = Field(
        None,
        min_length=1,
        description="INI file in the worker's file system; the section is `profile` or default.",
    )
    sts_endpoint_url: str | None = Field(
        None, description="Where the role is assumed; default: STS of the region."
    )
    session_tags: bool = Field(
        False,
        description="Assume the role anew for each tenant and env, with them as session tags "
        "`tenant_id` and `env`, so that its policy can be bound to their data.",
    )

    @field_validator("endpoint_url", "sts_endpoint_url")
    @classmethod
    def _endpoint_is_bare(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give http://host:port or https://host:port")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("an endpoint holds neither credentials nor a query")
        return url

    @model_validator(mode="after")
    def _role_is_there(self) -> AwsConfig:
        if self.role_arn is None and (self.session_tags or self.sts_endpoint_url):
            raise ValueError("session_tags and sts_endpoint_url need a role_arn")
        return self

    @property
    def own_region(self) -> str | None:
        """The region that the config names; None if it names none."""
        return self.region

    @property
    def endpoint(self) -> str | None:
        """URL of the service in this config's region; None for Amazon's own."""
        region = self.own_region or DEFAULT_REGION
        return self.endpoint_url and self.endpoint_url.replace("{region}", region)


def reaches_of(config: AwsConfig, hosts: Sequence[str] = ()) -> Reaches:
    """Return what a config reaches.

    `hosts` are host names below its endpoint that are used instead.
    """
    endpoints: list[Endpoint] = []
    if config.endpoint is not None:
        # Requests are signed: no credential is sent with them.
        endpoint = Endpoint.of(config.endpoint)
        endpoints += [endpoint, *(Endpoint(host, endpoint.port) for host in hosts)]
    if config.sts_endpoint_url is not None:
        # It responds with credentials.
        endpoints.append(Endpoint.of(config.sts_endpoint_url, "the role's credential"))
    return Reaches(
        credential_files=(config.credentials_file,) if config.credentials_file else (),
        endpoints=tuple(endpoints),
    )


Model = TypeVar("Model", bound=AwsConfig)


def aws_route_config(
    model: type[Model],
    backend_type: str,
    *,
    location: tuple[str, ...],
    required: tuple[str, ...],
) -> RouteConfig[Model]:
    """Return how configs of this model are validated."""
    references = "profile, role_arn or credentials_file"
    return RouteConfig(model, backend_type, _SECRET, references, location, required)
