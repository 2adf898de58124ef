"""What commands and the command line both name: kinds of resource, tenants, envs, modes.

There are no models here, so that the command line's options cost no import of pydantic.
"""

from __future__ import annotations

import re
from enum import StrEnum

from signalbox.commands.error import InvalidScope

DEFAULT_CONTENT_TYPE = "application/octet-stream"
TENANT_PATTERN = re.compile(r"t_[a-z0-9_-]{1,61}", re.ASCII)
ENV_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)


class Mode(StrEnum):
    """The product that a tenant runs under. All but `lab` are production modes."""

    LAB = "lab"
    SAAS = "saas"
    ENTERPRISE = "enterprise"
    T_SYSTEM = "t_system"

    @property
    def sellable(self) -> bool:
        """True for the production modes: all but `lab`."""
        return self is not Mode.LAB


class ResourceKind(StrEnum):
    """The four kinds of storage that a route can be set for."""

    OBJECT_STORE = "object_store"
    TABULAR_STORE = "tabular_store"
    METRICS_STORE = "metrics_store"
    EVENT_STREAM = "event_stream"


class Aggregation(StrEnum):
    """How the points of a window are aggregated; `last` is the value with the latest timestamp."""

    SUM = "sum"
    COUNT = "count"
    MIN = "min"
    MAX = "max"
    AVG = "avg"
    LAST = "last"


def check_tenant(value: str) -> str:
    """Return `value`, or raise InvalidScope: a tenant id is `t_` and 1 to 61 of `a-z 0-9 _ -`."""
    if not TENANT_PATTERN.fullmatch(value):
        raise InvalidScope(
            f"invalid tenant_id {value[:80]!r}",
            next_step="use `t_` followed by 1 to 61 lower-case letters, digits, `_` or `-`",
        )
    return value


def check_env(value: str) -> str:
    """Return `value`, or raise InvalidScope: an env is a short lower-case name."""
    if not ENV_PATTERN.fullmatch(value):
        raise InvalidScope(
            f"invalid env {value[:80]!r}",
            next_step="use dev, staging, prod, or another lower-case name of at most 31 "
            "letters, digits or `-` that starts with a letter",
        )
    return value
