"""The config of a route to S3: what may stand in it, and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from commands.error import InvalidRouteConfig
from commands.scope import ResourceKind

DEFAULT_REGION = "us-east-1"
"""Where neither the route nor its profile names a region; never taken from the environment."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_ACCESS_POINT = re.compile(
    r"arn:aws[a-z-]*:s3:(?P<region>[a-z0-9-]+):\d{12}:accesspoint[/:][a-z0-9-]{3,50}"
)
_SECRET = re.compile(
    r"secret|password|passwd|passphrase|token|credential|access_?key|private_?key|api_?key"
)

AddressingStyle = Literal["auto", "path", "virtual"]
Checksum = Literal["when_supported", "when_required"]


class S3Config(BaseModel):
    """One route's config. Credentials stand in it by reference only.

    Without a reference the worker's own identity is used (its role, or its environment).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bucket: str = Field(description="Bucket name, or the ARN of an access point.")
    region: str | None = Field(
        None, pattern=f"^{_REGION.pattern}$", description="The ARN's region goes before it."
    )
    endpoint_url: str | None = Field(
        None, description="An S3-compatible service; {region} in it stands for the region."
    )
    addressing_style: AddressingStyle = Field(
        "auto",
        description="auto: path on an own endpoint or for a bucket with a dot, else virtual.",
    )
    checksum: Checksum | None = Field(
        None, description="CRC32 with each write; default: when_required on an own endpoint."
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
        "`tenant_id` and `env`, so that its policy can be bound to their prefix.",
    )
    read_replicas: list[str] = Field(
        default_factory=list,
        max_length=5,
        description="region:bucket of replicas that get and head ask, in this order, when the "
        "bucket does not answer.",
    )
    kms_key_id: str | None = Field(None, min_length=1, description="Encrypt with this KMS key.")
    fenced_writes: bool = Field(
        False, description="Look before each write, so that no older command undoes a newer one."
    )

    @field_validator("bucket")
    @classmethod
    def _bucket_is_a_name(cls, bucket: str) -> str:
        if not (_BUCKET.fullmatch(bucket) or _ACCESS_POINT.fullmatch(bucket)):
            raise ValueError("give a bucket name, or arn:aws:s3:region:account:accesspoint/name")
        return bucket

    @field_validator("read_replicas")
    @classmethod
    def _replicas_are_named(cls, replicas: list[str]) -> list[str]:
        for replica in replicas:
            region, _, bucket = replica.partition(":")
            if not _REGION.fullmatch(region) or not _BUCKET.fullmatch(bucket):
                raise ValueError("give region:bucket, such as eu-west-1:my-replica")
        return replicas

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
    def _style_fits(self) -> S3Config:
        if self.is_access_point and self.addressing_style == "path":
            raise ValueError("addressing_style: an access point cannot be addressed by path")
        if self.role_arn is None and (self.session_tags or self.sts_endpoint_url):
            raise ValueError("session_tags and sts_endpoint_url need a role_arn")
        return self

    @property
    def is_access_point(self) -> bool:
        return self.bucket.startswith("arn:")

    @property
    def replicas(self) -> list[S3Config]:
        """A config for each replica, which has none itself."""
        places = [replica.partition(":") for replica in self.read_replicas]
        return [
            self.model_copy(update={"region": region, "bucket": bucket, "read_replicas": []})
            for region, _, bucket in places
        ]

    @property
    def endpoint(self) -> str | None:
        """The address of the service in this config's region; None: Amazon's own."""
        region = self.own_region or DEFAULT_REGION
        return self.endpoint_url and self.endpoint_url.replace("{region}", region)

    @property
    def own_region(self) -> str | None:
        """The region that the config names: that of the access point, or `region`."""
        match = _ACCESS_POINT.fullmatch(self.bucket)
        return match["region"] if match else self.region

    @property
    def style(self) -> Literal["path", "virtual"]:
        """Always explicit: left to botocore, presigned addresses fall back to the global host."""
        if self.addressing_style != "auto":
            return self.addressing_style
        if self.is_access_point:
            return "virtual"
        # A dot in the name breaks the certificate of the virtual host.
        return "path" if self.endpoint_url or "." in self.bucket else "virtual"

    @property
    def checksums(self) -> Checksum:
        # CRC32 in a trailer breaks many S3-compatible services.
        return self.checksum or ("when_required" if self.endpoint_url else "when_supported")


def read_config(config: Mapping[str, Any]) -> S3Config:
    """The checked config; InvalidRouteConfig with what to do if it is not one. No call out."""
    for key in config:
        if key not in S3Config.model_fields and _SECRET.search(key.lower()):
            raise _refuse(
                f"config key {key[:64]!r} looks like a secret: credentials never stand in a route",
                "name a reference instead: profile, role_arn or credentials_file",
            )
    if not config.get("bucket"):
        raise _refuse("the route has no bucket", "set `bucket` in its config; nothing falls back")
    try:
        return S3Config.model_validate(dict(config))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = str(first["loc"][0]) if first["loc"] else ""
        field = S3Config.model_fields.get(where)
        hint = (
            f"{where}: {field.description}" if field else f"use {', '.join(S3Config.model_fields)}"
        )
        raise _refuse(f"config {where or 'as a whole'}: {first['msg']}", hint) from None


def _refuse(message: str, next_step: str) -> InvalidRouteConfig:
    return InvalidRouteConfig(
        message, kind=ResourceKind.OBJECT_STORE, backend_type="s3", next_step=next_step
    )
