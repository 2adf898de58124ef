"""The scope of a command: kind of resource, tenant and env, with names that are checked."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict

from signalbox.commands.documented import Documented
from signalbox.commands.vocabulary import Mode as Mode
from signalbox.commands.vocabulary import ResourceKind as ResourceKind
from signalbox.commands.vocabulary import check_env as check_env
from signalbox.commands.vocabulary import check_tenant as check_tenant

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
