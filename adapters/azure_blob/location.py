"""Where the objects of a scope are stored in a container, and which keys Azure can hold."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from signalbox.adapters.azure_blob.config import AzureConfig
from signalbox.adapters.azure_blob.name import to_name
from signalbox.adapters.object_driver import Area
from signalbox.commands.error import InvalidKey
from signalbox.commands.scope import Scope

MAX_NAME_CHARACTERS = 1024
"""Azure's maximum length of a blob name, in UTF-16 units."""
MAX_SEGMENTS = 254
"""Azure's maximum number of segments in a blob name."""


@dataclass(frozen=True)
class Location:
    """One scope on one route: makes blob names, all below its own prefix."""

    config: AzureConfig
    scope: Scope

    def prefix(self, area: Area = Area.RAW) -> str:
        """Return the prefix of all blob names in an area."""
        own = f"{self.config.prefix}/" if self.config.prefix else ""
        scope = f"{self.scope.tenant_id}/{self.scope.env}/"
        if area is Area.TOMBSTONES:
            # Separate from all objects, so that one lifecycle rule removes them; not longer than
            # what it replaces, so that every key has room for one.
            return f"{own}tombstones/{scope}"
        return f"{own}tenants/{scope}{area}/"

    def name(self, key: str, area: Area = Area.RAW) -> str:
        """Return the blob's name. Raises InvalidKey if it is too long or too deep for Azure."""
        name = self.prefix(area) + to_name(key)
        # Azure counts UTF-16 units, of which a character beyond U+FFFF has two.
        if (over := len(name.encode("utf-16-le")) // 2 - MAX_NAME_CHARACTERS) > 0:
            raise InvalidKey(
                f"key {key[:40]!r}… is {over} characters (of up to 4 bytes) too long for Azure "
                f"with its prefix {self.prefix(area)!r}",
                next_step=f"shorten it by {over} characters",
            )
        room = MAX_SEGMENTS - self.prefix(area).count("/")
        if (count := key.count("/") + 1) > room:
            raise InvalidKey(
                f"key {key[:40]!r}… has {count} segments, and many bytes in all",
                next_step=f"Azure takes {room}: use fewer",
            )
        return name

    def uri(self, name: str) -> str:
        """Return the blob's URL."""
        return f"{self.config.account_url}/{self.config.container}/{quote(name)}"
