"""The config of a route to S3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from signalbox.adapters.aws.config import REGION_PATTERN, AwsConfig, aws_route_config, reaches_of
from signalbox.adapters.reach import Reaches
from signalbox.commands.scope import ResourceKind

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_REGION = re.compile(REGION_PATTERN)
_ACCESS_POINT = re.compile(
    r"arn:aws[a-z-]*:s3:(?P<region>[a-z0-9-]+):\d{12}:accesspoint[/:][a-z0-9-]{3,50}"
)
AddressingStyle = Literal["auto", "path", "virtual"]
Checksum = Literal["when_supported", "when_required"]


class S3Config(AwsConfig):
    """One route's config."""

    bucket: str = Field(description="Bucket name, or the ARN of an access point.")
    region: str | None = Field(
        None, pattern=f"^{REGION_PATTERN}$", description="The ARN's region goes before it."
    )
    endpoint_url: str | None = Field(
        None, description="An S3-compatible service; {region} in it stands for the region."
    )
    addressing_style: AddressingStyle = Field(
        "auto",
        description="auto: path on an own endpoint or for a bucket with a dot, else virtual.",
    )
    checksum: Checksum | None = Field(
        None, description="One kept with each write; default: when_required on an own endpoint."
    )
    read_replicas: list[str] = Field(
        default_factory=list,
        max_length=5,
        description="region:bucket of replicas that get and head ask, in this order, when the "
        "bucket does not answer.",
    )
    kms_key_id: str | None = Field(None, min_length=1, description="Encrypt with this KMS key.")
    engine: Literal["auto", "boto3"] = Field(
        "auto", description="boto3: send nothing over our own connections, not even what is small."
    )
    fenced_writes: bool = Field(
        True,
        description="Every write is conditional, and a delete leaves a tombstone, so that no older "
        "command undoes a newer one; false spares the requests, and leaves it to the expiry of "
        "what is sent.",
    )
    weaker_fences: Literal["refuse", "accept"] = Field(
        "refuse",
        description="accept: use a service that does not check expiry or lacks conditional writes.",
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

    @model_validator(mode="after")
    def _style_fits(self) -> S3Config:
        if self.is_access_point and self.addressing_style == "path":
            raise ValueError("addressing_style: an access point cannot be addressed by path")
        return self

    @property
    def is_access_point(self) -> bool:
        """True if `bucket` is the ARN of an access point."""
        return self.bucket.startswith("arn:")

    @property
    def has_own_host(self) -> bool:
        """True for an access point, or a bucket of another type by its name (`--x-s3`)."""
        return self.is_access_point or "--" in self.bucket

    @property
    def replicas(self) -> list[S3Config]:
        """A config for each replica, without replicas."""
        replicas = [replica.partition(":") for replica in self.read_replicas]
        return [
            self.model_copy(update={"region": region, "bucket": bucket, "read_replicas": []})
            for region, _, bucket in replicas
        ]

    @property
    def own_region(self) -> str | None:
        """The region that the config names: that of the access point, or `region`."""
        match = _ACCESS_POINT.fullmatch(self.bucket)
        return match["region"] if match else self.region

    @property
    def style(self) -> Literal["path", "virtual"]:
        """Always explicit: botocore's default for presigned URLs is the global host."""
        if self.addressing_style != "auto":
            return self.addressing_style
        if self.is_access_point:
            return "virtual"
        # A dot in the name does not match the certificate of the virtual host.
        return "path" if self.endpoint_url or "." in self.bucket else "virtual"

    @property
    def checksums(self) -> Checksum:
        # Many S3-compatible services fail on a CRC32 in a trailer.
        """When checksums are used, with the default resolved."""
        return self.checksum or ("when_required" if self.endpoint_url else "when_supported")


_ROUTE = aws_route_config(
    # A bucket's name is the service's, so that other credentials find the same one.
    S3Config,
    "s3",
    location=("bucket", "region", "endpoint_url"),
    required=("bucket",),
)


def read_config(config: Mapping[str, Any]) -> S3Config:
    """Return the validated config; makes no call. Raises InvalidRouteConfig with a next step."""
    return _ROUTE.read(config, ResourceKind.OBJECT_STORE)


def location(config: Mapping[str, Any], kind: ResourceKind) -> dict[str, Any]:
    """Return what says where the data are. Raises InvalidRouteConfig."""
    return _ROUTE.location_of(config, kind)


def reaches(config: Mapping[str, Any], _: ResourceKind) -> Reaches:
    """Return what the config and its replicas reach. Raises InvalidRouteConfig."""
    checked = read_config(config)
    all_of_it = [
        reaches_of(
            one,
            # The bucket's own host may be another machine than the service's.
            [f"{one.bucket}.{urlsplit(one.endpoint).hostname}"]
            if one.endpoint and one.style == "virtual" and not one.is_access_point
            else [],
        )
        for one in (checked, *checked.replicas)
    ]
    return Reaches(
        credential_files=all_of_it[0].credential_files,
        endpoints=tuple(dict.fromkeys(e for part in all_of_it for e in part.endpoints)),
    )
