"""Where the objects of a scope are stored in a bucket."""

from __future__ import annotations

from functools import cached_property

from signalbox.adapters.object_driver import Area
from signalbox.adapters.s3.config import S3Config
from signalbox.commands.error import InvalidKey
from signalbox.commands.scope import Scope

MAX_S3_KEY_BYTES = 1024
"""S3's maximum length of a key, in UTF-8 bytes."""


class Location:
    """One scope on one route: makes bucket keys, all below its own prefix."""

    def __init__(self, config: S3Config, scope: Scope) -> None:
        self.config = config
        self.scope = scope

    @property
    def bucket(self) -> str:
        """Name of the bucket, or ARN of an access point."""
        return self.config.bucket

    @cached_property
    def raw(self) -> str:
        """Prefix of objects."""
        return self.prefix(Area.RAW)

    def prefix(self, area: Area) -> str:
        """Return the prefix of an area."""
        scope = f"{self.scope.tenant_id}/{self.scope.env}/"
        if area is Area.TOMBSTONES:
            # Separate from all objects, so that one lifecycle rule removes them; not longer than
            # what it replaces, so that every key has room for one.
            return f"tombstones/{scope}"
        return f"tenants/{scope}{area}/"

    def full_key(self, key: str, area: Area = Area.RAW) -> str:
        """Return the key in the bucket. Raises InvalidKey if it is over the 1,024 bytes of S3."""
        full = (self.raw if area is Area.RAW else self.prefix(area)) + key
        # No character has more than four bytes.
        if (
            len(full) * 4 > MAX_S3_KEY_BYTES
            and (over := len(full.encode("utf-8")) - MAX_S3_KEY_BYTES) > 0
        ):
            raise InvalidKey(
                f"key {key[:40]!r}… is too long for S3 with its prefix {self.prefix(area)!r}",
                next_step=f"shorten it by {over} UTF-8 bytes",
            )
        return full

    def uri(self, full_key: str) -> str:
        """Return the object's address."""
        return f"s3://{self.bucket}/{full_key}"
