"""The config of a route to DuckDB."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from signalbox.adapters.reach import Reaches
from signalbox.adapters.route_config import RouteConfig
from signalbox.commands.scope import ResourceKind

BACKEND_TYPE = "duckdb"


class DuckDBConfig(BaseModel):
    """One route's config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_dir: str = Field(description="Folder of the database files; an absolute path.")

    @field_validator("base_dir")
    @classmethod
    def _is_absolute(cls, base_dir: str) -> str:
        if not os.path.isabs(base_dir) or not base_dir.isprintable() or ".." in base_dir.split("/"):
            raise ValueError("give an absolute path, without `..`")
        return os.path.normpath(base_dir)


_ROUTE = RouteConfig(
    DuckDBConfig,
    BACKEND_TYPE,
    re.compile("secret|password|token"),
    "none",
    location=("base_dir",),
    required=("base_dir",),
)


def read_config(config: Mapping[str, Any]) -> DuckDBConfig:
    """The checked config; InvalidRouteConfig with what to do if it is not one. No call out."""
    return _ROUTE.read(config, ResourceKind.TABULAR_STORE)


def location(config: Mapping[str, Any], kind: ResourceKind) -> dict[str, Any]:
    """Return what says where the data are. Raises InvalidRouteConfig."""
    return _ROUTE.location_of(config, kind)


def reaches(config: Mapping[str, Any], _: ResourceKind) -> Reaches:
    """What the config names. Raises InvalidRouteConfig."""
    return Reaches(data=(read_config(config).base_dir,))
