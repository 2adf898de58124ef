"""Settings of the gateway: address, access, and limits. None of these selects a backend."""

from __future__ import annotations

import ipaddress
import json
import os
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from signalbox.commands.error import InvalidSetting
from signalbox.commands.settings import Duration

KIB, MIB, GIB = 1024, 1024**2, 1024**3
PORT = 8010
"""Default port."""
PREFIX = "SIGNALBOX_GATEWAY_"
"""Prefix of the environment variables."""
DEFAULT_KEYS = frozenset(
    {"addressing_style", "credentials_file", "emulator_host", "endpoint_url", "region"}
)
"""Config keys that may have defaults: how a backend is reached. Where data is stored (bucket,
project, folder) is never a default."""


class GatewaySettings(BaseSettings):
    """The settings, read from `SIGNALBOX_GATEWAY_*` environment variables."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(PORT, ge=0, le=65535, description="Port to listen on; 0: any free port.")
    exposed: Literal["no", "anyone-on-the-network-may-use-it"] = Field(
        "no",
        description="Without the other value, an address that other machines can reach is refused.",
    )
    hosts: str = Field(
        "localhost,127.0.0.1,[::1]",
        description="Host names that are accepted (header `Host`), comma-separated.",
    )
    origins: str = Field(
        "",
        description="Origins whose pages may call the gateway (CORS), such as https://a.example, "
        "comma-separated.",
    )
    read_token_file: Path | None = Field(
        None,
        description="File with a bearer token, which calls that read and store data then require.",
    )
    route_token_file: Path | None = Field(
        None, description="File with a bearer token, which operators' calls then require."
    )
    principals: Literal["off", "required"] = Field(
        "off",
        description="With `required`, each call needs a token of a principal, and may do what that "
        "principal may. Tokens of the two files above remain valid.",
    )
    oidc_issuer: str | None = Field(
        None,
        description="Issuer of OpenID Connect tokens that are also accepted, as in their `iss`.",
    )
    oidc_audience: str | None = Field(
        None, description="Audience (`aud`) that the issuer's tokens must have."
    )
    oidc_claim: str = Field(
        "sub", min_length=1, description="Claim of the issuer's tokens that names the caller."
    )
    oidc_principals: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="JSON object from values of that claim to principals. Empty: the value is the "
        "principal's name.",
    )
    oidc_refresh: Duration = Field(
        timedelta(seconds=30),
        description="Minimum time between two reads of the issuer's keys.",
    )
    base_dir: Path | None = Field(
        None,
        description="Folder to which a relative `base_dir` is resolved in calls that set a route.",
    )
    route_defaults: Annotated[dict[str, dict[str, str]], NoDecode] = Field(
        default_factory=dict,
        description="JSON object with entries for each backend that `POST /routing/routes` adds to "
        "a config without them.",
    )
    wait: Duration = Field(
        timedelta(seconds=30),
        description="Time after which a command without an outcome is answered with 202.",
    )
    linger: Duration = Field(
        timedelta(milliseconds=2),
        description="How long a write waits for others, to be submitted together.",
    )
    body_limit_bytes: int = Field(5 * GIB, ge=0, description="Maximum size of an object.")
    json_limit_bytes: int = Field(8 * MIB, ge=KIB, description="Maximum size of a JSON body.")
    json_total_bytes: int = Field(
        64 * MIB,
        ge=KIB,
        description="Maximum size of all JSON bodies that are processed at a time.",
    )
    header_limit_bytes: int = Field(
        32 * KIB, ge=KIB, description="Maximum size of a request's first line and headers."
    )
    header_limit: int = Field(100, ge=8, description="Maximum number of headers of a request.")
    connections: int = Field(
        1024,
        ge=1,
        description="Maximum number of open connections. For a further one the one that has been "
        "idle longest is closed, or it is answered with 503.",
    )
    header_seconds: Duration = Field(
        timedelta(seconds=10),
        description="Maximum time in which a request's first line and headers must arrive.",
    )
    body_seconds: Duration = Field(
        timedelta(seconds=30),
        description="Maximum time in which a body must arrive, plus one second for each 64 KiB "
        "received.",
    )
    idle_seconds: Duration = Field(
        timedelta(seconds=30), description="An idle connection is closed after this time."
    )
    stop_seconds: Duration = Field(
        timedelta(seconds=20), description="How long a stop waits for requests under way."
    )
    one_core: bool = Field(
        True,
        description="Whether the gateway's threads run on one processor core at a time, which is "
        "faster; threads that call backends run on any core.",
    )
    ready_file: Path | None = Field(
        None, description="The gateway creates this file, with its address, when it listens."
    )

    @field_validator("oidc_principals", mode="before")
    @classmethod
    def _principals_are_json(cls, given: Any) -> Any:
        try:
            return json.loads(given) if isinstance(given, str) else given
        except ValueError:
            raise ValueError('it is no JSON; write it like {"ann@example.com": "ann"}') from None

    @field_validator("route_defaults", mode="before")
    @classmethod
    def _defaults_are_json(cls, given: Any) -> Any:
        try:
            return json.loads(given) if isinstance(given, str) else given
        except ValueError:
            raise ValueError(
                'it is no JSON; write it like {"s3": {"endpoint_url": "http://127.0.0.1:9000"}}'
            ) from None

    @field_validator("route_defaults")
    @classmethod
    def _defaults_name_no_place(cls, defaults: dict[str, dict[str, str]]) -> object:
        for backend, config in defaults.items():
            if odd := sorted(config.keys() - DEFAULT_KEYS):
                raise ValueError(
                    f"{odd[0]} of {backend}: only {', '.join(sorted(DEFAULT_KEYS))} may be added"
                )
        return defaults

    @model_validator(mode="after")
    def _every_name_is_known(self) -> GatewaySettings:
        known = {f"{PREFIX}{name}".upper() for name in type(self).model_fields}
        for name in sorted(os.environ):
            if name.upper().startswith(PREFIX) and name.upper() not in known:
                close = get_close_matches(name.upper(), known, 1)
                raise InvalidSetting(
                    f"there is no setting {name[:100]}",
                    next_step=(f"did you mean {close[0]}? " if close else "")
                    + "see docs/configuration.md",
                )
        return self

    @model_validator(mode="after")
    def _one_body_has_room(self) -> GatewaySettings:
        if self.json_total_bytes < self.json_limit_bytes:
            raise ValueError("json_total_bytes is less than json_limit_bytes, that of one body")
        return self

    @model_validator(mode="after")
    def _exposure_is_meant(self) -> GatewaySettings:
        if self.exposed == "no" and not _is_loopback(self.host):
            raise InvalidSetting(
                f"SIGNALBOX_GATEWAY_HOST={self.host} can be reached from the network, and whoever "
                "reaches the gateway may act for every tenant",
                next_step="listen on 127.0.0.1 behind a proxy that knows who asks, or say so: "
                "SIGNALBOX_GATEWAY_EXPOSED=anyone-on-the-network-may-use-it",
            )
        return self

    @property
    def host_names(self) -> frozenset[str]:
        """The names in `hosts`."""
        return frozenset(_entries(self.hosts.lower()))

    @property
    def origin_names(self) -> frozenset[str]:
        """The origins in `origins`."""
        return frozenset(entry.rstrip("/") for entry in _entries(self.origins.lower()))


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
