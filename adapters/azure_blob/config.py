"""The config of a route to Azure Blob Storage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from signalbox.adapters.reach import Endpoint, Reaches
from signalbox.adapters.route_config import RouteConfig
from signalbox.commands.scope import ResourceKind

BACKEND_TYPE = "azure_blob"
_CONTAINER = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]")
_SECRET = re.compile(r"secret|password|passwd|token|credential|connection|key|sas|sig")


class AzureConfig(BaseModel):
    """One route's config. Credentials are only referenced.

    Without a reference, the worker's own identity is used (a managed identity, or what
    azure-identity finds).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_url: str = Field(
        description="https://<account>.blob.core.windows.net, or that of an emulator."
    )
    container: str = Field(description="The container; it must be there.")
    region: str | None = Field(
        None,
        pattern=r"^[a-z0-9-]{1,40}$",
        description="Where the account is, as its operator knows; a policy may ask for it.",
    )
    prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$|^$",
        description="First part of every blob's name, for a container that others use too.",
    )
    account_key_file: str | None = Field(
        None, min_length=1, description="File in the worker's file system with the account's key."
    )
    connection_string_file: str | None = Field(
        None, min_length=1, description="File with a connection string; its AccountKey is used."
    )
    sas_file: str | None = Field(
        None, min_length=1, description="File with a SAS token; it can presign nothing."
    )
    fenced_writes: bool = Field(
        True,
        description="Every write is conditional, and a delete leaves a tombstone, so that no older "
        "command undoes a newer one; false spares the requests, and leaves it to the expiry of "
        "what is sent.",
    )
    weaker_fences: Literal["refuse", "accept"] = Field(
        "refuse",
        description="accept: use credentials that cannot have requests end in time, or a "
        "service that does not check it.",
    )

    @field_validator("account_url")
    @classmethod
    def _url_is_bare(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give https://<account>.blob.core.windows.net")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("an address holds neither credentials nor a query")
        return url.rstrip("/")

    @field_validator("container")
    @classmethod
    def _container_is_a_name(cls, container: str) -> str:
        if not _CONTAINER.fullmatch(container):
            raise ValueError(
                "a container has 3 to 63 lower-case letters, digits and single hyphens"
            )
        return container

    @field_validator("prefix")
    @classmethod
    def _prefix_is_apart(cls, prefix: str) -> str:
        # Otherwise this route would store its objects among those of another.
        if prefix in ("tenants", "tombstones"):
            raise ValueError(f"`{prefix}` is where routes without a prefix store")
        return prefix

    @model_validator(mode="after")
    def _one_reference(self) -> AzureConfig:
        named = [self.account_key_file, self.connection_string_file, self.sas_file]
        if len(named) - named.count(None) > 1:
            raise ValueError("account_key_file, connection_string_file and sas_file exclude others")
        if not any(named) and not self.account_url.startswith("https"):
            raise ValueError("account_url: the worker's own identity is shown over https only")
        return self

    @property
    def account(self) -> str:
        """Name of the account: the first part of the host, or the path of an emulator's URL."""
        parts = urlsplit(self.account_url)
        return parts.path.strip("/") or str(parts.hostname).partition(".")[0]


_ROUTE = RouteConfig(
    AzureConfig,
    BACKEND_TYPE,
    _SECRET,
    "account_key_file, connection_string_file or sas_file",
    location=("account_url", "container", "prefix"),
    required=("container",),
)


def read_config(config: Mapping[str, Any]) -> AzureConfig:
    """Return the validated config; makes no call. Raises InvalidRouteConfig with a next step."""
    return _ROUTE.read(config, ResourceKind.OBJECT_STORE)


def location(config: Mapping[str, Any], kind: ResourceKind) -> dict[str, Any]:
    """Return what says where the data are. Raises InvalidRouteConfig."""
    return _ROUTE.location_of(config, kind)


def reaches(config: Mapping[str, Any], _: ResourceKind) -> Reaches:
    """Return what the config reaches. Raises InvalidRouteConfig."""
    checked = read_config(config)
    files = (checked.account_key_file, checked.connection_string_file, checked.sas_file)
    # A key only signs and stays here; a SAS token is sent.
    return Reaches(
        credential_files=tuple(path for path in files if path),
        endpoints=(Endpoint.of(checked.account_url, "sas_file" if checked.sas_file else ""),),
    )
