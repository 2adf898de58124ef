"""Where a scope's objects are within a bucket."""

from __future__ import annotations

from functools import cached_property

from signalbox.adapters.object_driver import Area
from signalbox.adapters.s3.config import S3Config
from signalbox.commands.error import InvalidKey
from signalbox.commands.scope import Scope

MAX_S3_KEY_BYTES = 1024


class Location:
    """One scope on one route: it names bucket keys, and nothing outside its own prefix."""

    def __init__(self, config: S3Config, scope: Scope) -> None:
        self.config = config
        self.scope = scope

    @property
    def bucket(self) -> str:
        return self.config.bucket

    @cached_property
    def raw(self) -> str:
        return self.prefix(Area.RAW)

    def prefix(self, area: Area) -> str:
        scope = f"{self.scope.tenant_id}/{self.scope.env}/"
        if area is Area.TOMBSTONES:
            # Apart from all objects, so that one lifecycle rule removes them; no longer than what
            # it replaces, so that every key has room for one.
            return f"tombstones/{scope}"
        return f"tenants/{scope}{area}/"

    def full_key(self, key: str, area: Area = Area.RAW) -> str:
        """The key within the bucket; InvalidKey if it is over the 1,024 bytes of S3."""
        full = (self.raw if area is Area.RAW else self.prefix(area)) + key
        # No character takes more than four bytes.
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
        return f"s3://{self.bucket}/{full_key}"
