"""HTTP API for policies of tenants, like `signalbox policy`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from signalbox.commands.error import NotFound
from signalbox.commands.routing import Reason
from signalbox.commands.scope import check_tenant
from signalbox.gateway.answer import Json
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.change_author import AuthorDep
from signalbox.gateway.conditions import IfMatchHeader, IfNoneMatchHeader, is_absent, revision_of
from signalbox.gateway.registry_models import PoliciesAnswer, PreparedChange
from signalbox.gateway.request_context import ServicesDep
from signalbox.gateway.url_text import TenantPart
from signalbox.routing.policy.policy import Policy, Terms

router = APIRouter(prefix="/v1/policies", route_class=BoundedRoute, tags=["policies"])


class PolicyRequest(BaseModel):
    """All terms of a policy; a term that is left out is not restricted."""

    model_config = ConfigDict(extra="forbid")

    terms: Terms
    reason: Reason


@router.get("", response_model=PoliciesAnswer)
async def list_policies(services: ServicesDep) -> Response:
    """Return the policies of all tenants."""
    policies = await services.call(services.registry.policies.all)
    return Json({"policies": [policy.model_dump(mode="json") for policy in policies]})


@router.get("/{tenant}", response_model=Policy)
async def get_policy(
    tenant: Annotated[TenantPart, Path(description="Tenant, `t_` and a name.")],
    services: ServicesDep,
) -> Response:
    """Return a tenant's policy. Its ETag is its revision."""
    name = check_tenant(tenant)
    policy = await services.call(lambda: services.registry.policies.get(name))
    if policy is None:
        raise NotFound(
            "the tenant has no policy: everything is allowed in mode lab",
            tenant_id=name,
            next_step="give it one with PUT",
        )
    return _answer(policy)


@router.put("/{tenant}", response_model=Policy | PreparedChange)
async def set_policy(
    tenant: Annotated[TenantPart, Path(description="Tenant, `t_` and a name.")],
    body: PolicyRequest,
    services: ServicesDep,
    author: AuthorDep,
    if_match: IfMatchHeader = None,
    if_none_match: IfNoneMatchHeader = None,
) -> Response:
    """Set a tenant's policy, replacing an existing one."""
    name = check_tenant(tenant)
    revision = 0 if is_absent(if_none_match) else revision_of(if_match)
    change = author.change(body.reason, body)
    policies = services.registry.policies
    return _answer(
        await services.call(lambda: policies.set(name, body.terms, change, if_revision=revision))
    )


def _answer(policy: Policy) -> Response:
    return Json(policy.model_dump(mode="json"), 200, {"ETag": f'"{policy.revision}"'})
