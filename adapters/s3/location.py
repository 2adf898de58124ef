"""Where a scope's objects are within a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from adapters.s3.config import S3Config
from commands.error import InvalidKey
from commands.scope import Scope

MAX_S3_KEY_BYTES = 1024

Area = Literal["raw", "assets"]
TOMBSTONES = "tombstones/"
"""Apart from all objects, so that one lifecycle rule removes them; no longer than what it
replaces, so that every key has room for one."""


@dataclass(frozen=True)
class Location:
    """One scope on one route: it names bucket keys, and nothing outside its own prefix."""

    config: S3Config
    scope: Scope

    @property
    def bucket(self) -> str:
        return self.config.bucket

    def prefix(self, area: Area) -> str:
        return f"tenants/{self.scope.tenant_id}/{self.scope.env}/{area}/"

    @cached_property
    def _raw(self) -> str:
        return self.prefix("raw")

    def full_key(self, key: str, area: Area = "raw") -> str:
        """The key within the bucket; InvalidKey if it is over the 1,024 bytes of S3."""
        full = (self._raw if area == "raw" else self.prefix(area)) + key
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

    def tombstone_key(self, key: str) -> str:
        """Where the tombstone of a key is within the bucket."""
        return f"{TOMBSTONES}{self.scope.tenant_id}/{self.scope.env}/{key}"

    def uri(self, key: str) -> str:
        return self.uri_of(self.full_key(key))

    def uri_of(self, full_key: str) -> str:
        return f"s3://{self.bucket}/{full_key}"
