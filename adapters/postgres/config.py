"""The config of a route to PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from signalbox.adapters.reach import Endpoint, Reaches
from signalbox.adapters.route_config import RouteConfig
from signalbox.commands.scope import ResourceKind

BACKEND_TYPE = "postgres"
_SECRET = re.compile(r"secret|password$|passwd|token|credential|dsn|url")


class PostgresConfig(BaseModel):
    """One route's config. The password is only referenced."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        min_length=1, max_length=255, description="Host name, or directory of a Unix socket."
    )
    port: int = Field(5432, ge=1, le=65535)
    database: str = Field(min_length=1, max_length=63, description="It must be there.")
    user: str = Field(min_length=1, max_length=63)
    password_file: str | None = Field(
        None, min_length=1, description="File in the worker's file system with the password."
    )
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = Field(
        "verify-full", description="disable is for a socket or a trusted network."
    )
    sslrootcert: str | None = Field(
        None, min_length=1, description="File of the authorities; default: the system's."
    )
    db_schema: str = Field(
        "signalbox",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="Schema of the tables; made on first use where the user may.",
    )
    region: str | None = Field(
        None,
        pattern=r"^[a-z0-9-]{1,40}$",
        description="Where the server is, as its operator knows; a policy may ask for it.",
    )

    @field_validator("host")
    @classmethod
    def _host_is_one(cls, host: str) -> str:
        # libpq accepts a list and tries one after the other.
        if "," in host:
            raise ValueError("give one host")
        return host


_ROUTE = RouteConfig(
    PostgresConfig,
    BACKEND_TYPE,
    _SECRET,
    "password_file",
    location=("host", "port", "database", "db_schema"),
)


def read_config(config: Mapping[str, Any]) -> PostgresConfig:
    """Return the validated config; makes no call. Raises InvalidRouteConfig with a next step."""
    # The command line sends a port as text.
    return _ROUTE.read(config, ResourceKind.TABULAR_STORE)


def location(config: Mapping[str, Any], kind: ResourceKind) -> dict[str, Any]:
    """Return what says where the data are. Raises InvalidRouteConfig."""
    return _ROUTE.location_of(config, kind)


def reaches(config: Mapping[str, Any], _: ResourceKind) -> Reaches:
    """Return what the config reaches. Raises InvalidRouteConfig."""
    checked = read_config(config)
    exposes = "password_file" if checked.password_file and checked.sslmode == "disable" else ""
    return Reaches(
        credential_files=(checked.password_file,) if checked.password_file else (),
        trusted_files=(checked.sslrootcert,) if checked.sslrootcert not in (None, "system") else (),
        endpoints=(Endpoint(checked.host, checked.port, exposes),),
    )
