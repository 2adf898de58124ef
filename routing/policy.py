"""A tenant's policy: its mode, where its data may be, how much of it, and at what prices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from signalbox.commands.error import PolicyForbids
from signalbox.commands.scope import Mode, ResourceKind, Scope, TenantId
from signalbox.routing.event import TYPE_PREFIX, StreamEvent

Name = Annotated[str, Field(min_length=1, max_length=64)]


class Allowed(BaseModel):
    """Where the data of one kind may be; None: anywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backends: list[Name] | None = None
    regions: list[Name] | None = Field(
        None, description="A route must then name one of them as `region`."
    )


LARGEST = 2**53
"""Of a quota: Redis' scripts, and JSON of other languages, count no further."""


class Quotas(BaseModel):
    """Limits of each env of the tenant; None: no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objects: int | None = Field(None, ge=0, le=LARGEST, description="Objects in its object store.")
    bytes: int | None = Field(None, ge=0, le=LARGEST, description="Bytes in its object store.")
    commands_per_second: float | None = Field(
        None,
        ge=1e-6,
        le=1e9,
        allow_inf_nan=False,
        description="Over all kinds; a second's worth may burst.",
    )

    @property
    def any(self) -> bool:
        return (self.objects, self.bytes, self.commands_per_second) != (None, None, None)


class Terms(BaseModel):
    """What a policy says. Without one, everything is allowed in mode `lab`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = Field(Mode.LAB, description="The stricter of it, the route's and the command's.")
    allowed: dict[ResourceKind, Allowed] = Field(default_factory=dict)
    quotas: Quotas = Quotas()
    price_table: Name | None = Field(None, description="Name of a table in the price file.")


class Policy(BaseModel):
    """A tenant's terms, as the last change left them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: TenantId
    terms: Terms
    revision: int
    hash: str
    updated_at: datetime
    updated_by: str
    reason: str


FREE = Terms()
"""The terms of a tenant without a policy."""


def policy_subject(tenant_id: str) -> str:
    """The subject of a policy's events; no kind of resource is called `policy`."""
    return f"policy/{tenant_id}"


def policy_after(tenant_id: str, event: StreamEvent) -> Policy:
    return Policy(
        tenant_id=tenant_id,
        terms=Terms.model_validate(event.data.after),
        revision=event.revision,
        hash=event.hash,
        updated_at=event.time,
        updated_by=event.data.actor,
        reason=event.data.reason,
    )


def policy_of(event: StreamEvent) -> Policy | None:
    """The policy that the event made, if it is about one."""
    if event.type != TYPE_PREFIX + "policy_set":
        return None
    return policy_after(event.subject.removeprefix(policy_subject("")), event)


def check_place(scope: Scope, terms: Terms, backend_type: str, config: dict[str, Any]) -> None:
    """Raise PolicyForbids for a backend or region that the tenant's data may not be in."""
    rule = terms.allowed.get(scope.kind)
    if rule is None:
        return
    if rule.backends is not None and backend_type not in rule.backends:
        raise _forbidden(scope, backend_type, f"backend {backend_type}", rule.backends)
    if rule.regions is not None:
        for region in regions_of(config):
            if region not in rule.regions:
                what = "a place without a region" if region is None else f"region {region}"
                raise _forbidden(scope, backend_type, what, rule.regions)


def regions_of(config: dict[str, Any]) -> list[str | None]:
    """Every region that a route's config leads to: where it writes (None: it does not say), and
    where it may read."""
    # What an access point's name says holds, whatever `region` says beside it.
    arns = [str(value).split(":") for value in config.values() if str(value).startswith("arn:aws")]
    buckets: list[str | None] = [arn[3] or None for arn in arns if arn[2] == "s3"]
    replicas = config.get("read_replicas") or []
    return [
        *(buckets or [config.get("region") or None]),
        *(str(replica).partition(":")[0] for replica in replicas),
    ]


def _forbidden(scope: Scope, backend_type: str, what: str, allowed: list[str]) -> PolicyForbids:
    return PolicyForbids(
        f"the policy of {scope.tenant_id} does not allow {what} for {scope.kind}",
        kind=scope.kind,
        tenant_id=scope.tenant_id,
        env=scope.env,
        backend_type=backend_type,
        next_step=f"it allows: {', '.join(allowed) or 'nothing'}; or change it with "
        "`signalbox policy set`",
    )
