"""The scope of a command: kind of resource, tenant and env; and the modes of a tenant."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict

from signalbox.commands.documented import Documented
from signalbox.commands.error import InvalidScope

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


TenantId = Annotated[str, AfterValidator(check_tenant)]
Env = Annotated[str, AfterValidator(check_env)]


class Scope(Documented):
    """What a route applies to: one kind of resource of one tenant in one env."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ResourceKind
    """Kind of resource."""
    tenant_id: TenantId
    """Id of the tenant, such as `t_acme`."""
    env: Env
    """Name of the environment, such as `dev` or `prod`."""

    @property
    def field(self) -> str:
        """The scope as `kind/tenant/env`: hash field in Redis and `subject` of StreamEvents.

        None of the three parts can hold a `/`, so distinct scopes have distinct fields.
        """
        return f"{self.kind}/{self.tenant_id}/{self.env}"

    @classmethod
    def from_field(cls, field: str) -> Scope:
        """Parse what `field` returns."""
        kind, tenant_id, env = field.split("/")
        return cls(kind=ResourceKind(kind), tenant_id=tenant_id, env=env)

    def __str__(self) -> str:
        return f"{self.kind} in {self.tenant_id}/{self.env}"


@lru_cache(maxsize=8192)
def scope_of(kind: str, tenant_id: str, env: str) -> Scope:
    """Return the scope; cached, since every command asks for its own."""
    return Scope(kind=ResourceKind(kind), tenant_id=tenant_id, env=env)


SchemaVersion = Literal[1]
