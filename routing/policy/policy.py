"""A tenant's policy: its mode, allowed backends and regions, quotas and prices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from signalbox.commands.documented import Documented
from signalbox.commands.error import PolicyForbids
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.scope import Mode, ResourceKind, Scope, TenantId
from signalbox.routing.registry.event import TYPE_PREFIX, StreamEvent

Name = Annotated[str, Field(min_length=1, max_length=64)]


class Allowed(Documented):
    """The backends and regions that may hold one kind of the tenant's data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backends: list[Name] | None = None
    """Names of the allowed backends; None allows all."""
    regions: list[Name] | None = None
    """Allowed regions, one of which a route's config must name; None allows all."""


LARGEST = 2**53
"""Upper bound of a quota: Lua, and JSON in other languages, hold no larger integer exactly."""


class Quotas(Documented):
    """Limits that apply to each env of the tenant separately; None means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objects: int | None = Field(None, ge=0, le=LARGEST)
    """Maximum number of objects in the object store."""
    bytes: int | None = Field(None, ge=0, le=LARGEST)
    """Maximum number of bytes in the object store."""
    commands_per_second: float | None = Field(None, ge=1e-6, le=1e9, allow_inf_nan=False)
    """Maximum rate of commands over all kinds; a burst may use one second's worth at once."""

    @property
    def any(self) -> bool:
        """True if any limit is set."""
        return (self.objects, self.bytes, self.commands_per_second) != (None, None, None)


class Terms(Documented):
    """The content of a policy. The defaults, which allow everything, apply without a policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = Mode.LAB
    """Mode of the tenant; the strictest of this, the route's and the command's mode applies."""
    allowed: dict[ResourceKind, Allowed] = Field(default_factory=dict)
    """Allowed backends and regions by kind of resource; a missing kind is not restricted."""
    quotas: Quotas = Quotas()
    """Limits of each env of the tenant."""
    price_table: Name | None = None
    """Name of a table in the price file; None is the table `default`."""
    signatures: Signatures = Field(Signatures.OFF, exclude_if=lambda level: level is Signatures.OFF)
    """What becomes of commands that are not signed, where that is stricter than the trust file."""


class Policy(Documented):
    """The policy of one tenant, as it was last set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: TenantId
    """The tenant."""
    terms: Terms
    """What the policy says."""
    revision: int
    """Revision of the event that set it."""
    hash: str
    """Hash of that event."""
    updated_at: datetime
    """When it was set."""
    updated_by: str
    """Who set it."""
    reason: str
    """Why, in their words."""
    proof: str | None = Field(None, exclude_if=lambda proof: proof is None)
    """The signature of who set it (docs/adr/0006-proof.md); None without a trust file."""

    @property
    def subject(self) -> str:
        """The `subject` of its events."""
        return policy_subject(self.tenant_id)


FREE = Terms()
"""The terms of a tenant without a policy."""


def policy_subject(tenant_id: str) -> str:
    """Return the `subject` of a policy's events: `policy/tenant`."""
    return f"policy/{tenant_id}"


def policy_after(tenant_id: str, event: StreamEvent) -> Policy:
    """Return the policy that a `policy_set` event made."""
    return Policy(
        tenant_id=tenant_id,
        terms=Terms.model_validate(event.data.after),
        revision=event.revision,
        hash=event.hash,
        updated_at=event.time,
        updated_by=event.data.actor,
        reason=event.data.reason,
        proof=event.proof,
    )


def policy_of(event: StreamEvent) -> Policy | None:
    """Return the policy that the event made, None if it is about something else."""
    if event.type != TYPE_PREFIX + "policy_set":
        return None
    return policy_after(event.subject.removeprefix(policy_subject("")), event)


def check_place(scope: Scope, terms: Terms, backend_type: str, config: dict[str, Any]) -> None:
    """Raise PolicyForbids if the terms do not allow the backend, or a region of the config."""
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
    """Return every region that a config writes to or may read from; None for an unknown one."""
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
