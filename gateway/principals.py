"""HTTP API for principals, like `signalbox principal`.

The gateway signs no change of them, whatever its own key may: an administrator's signature comes
with the request (see `change_author`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.error import InvalidCommand
from signalbox.commands.proof.keys import encode, public_of
from signalbox.commands.proof.principal import (
    Globs,
    Name,
    Principal,
    PrincipalKey,
    Role,
    check_name,
)
from signalbox.commands.routing import Reason
from signalbox.gateway.answer import Json
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.change_author import AuthorDep
from signalbox.gateway.registry_models import (
    ChangedPrincipal,
    PreparedChange,
    PrincipalsAnswer,
)
from signalbox.gateway.request_context import ServicesDep
from signalbox.gateway.services import Services
from signalbox.gateway.url_text import OpIdPart

router = APIRouter(prefix="/v1/principals", route_class=BoundedRoute, tags=["principals"])

CHANGED = ChangedPrincipal | PreparedChange
"""What a change of a principal answers with."""
NamePart = Annotated[OpIdPart, Path()]
Key = Annotated[
    dict[str, Any] | None,
    Field(description="A public key as a JSON Web Key, as `signalbox key show` prints it."),
]
Roles = Annotated[tuple[Role, ...], Field(min_length=1, max_length=8)]


class GrantRequest(BaseModel):
    """What a principal may from now on; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    roles: Roles | None = None
    tenants: Globs | None = None
    envs: Globs | None = None
    ops: Globs | None = None
    expires: AwareDatetime | None = None
    reason: Reason

    def granted(self) -> dict[str, Any]:
        """Return what is given, by its name."""
        names = ("roles", "tenants", "envs", "ops", "expires")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value not in (None, ())}


class AddRequest(GrantRequest):
    """A new principal. Without a key it can be known by an issuer's tokens alone."""

    name: Name
    roles: Roles
    tenants: Globs = Field(min_length=1)
    key: Key = None


class RotateRequest(BaseModel):
    """A key that is added, or the id of one that ends, or both."""

    model_config = ConfigDict(extra="forbid")

    key: Key = None
    remove: str | None = Field(None, max_length=64, description="Id of the key that ends.")
    reason: Reason


class RevokeRequest(BaseModel):
    """Why a principal ends."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


@router.get("", response_model=PrincipalsAnswer)
async def list_principals(services: ServicesDep) -> Response:
    """Return every principal, those that were revoked too, and the revision of the list."""

    def found() -> dict[str, Any]:
        roster = services.registry.principals.verifier().roster
        names = sorted(roster.principals)
        every = [roster.principals[name].model_dump(mode="json") for name in names]
        return {"principals": every, "revision": roster.revision}

    return Json(await services.call(found))


@router.get("/{name}", response_model=Principal)
async def get_principal(name: NamePart, services: ServicesDep) -> Response:
    """Return a principal: what it may, and its keys."""
    its = check_name(name)
    principal = await services.call(lambda: services.registry.principals.get(its))
    return Json(principal.model_dump(mode="json"))


@router.post("", response_model=CHANGED)
async def add_principal(body: AddRequest, author: AuthorDep, services: ServicesDep) -> Response:
    """Add a principal: a name, a key, and what may be signed with it."""
    key = _key(body.key)
    principal = Principal(name=body.name, keys=(key,) if key else (), **body.granted())
    change = author.signed_change(body.reason, body)
    return await _changed(services, lambda: services.registry.principals.add(principal, change))


@router.post("/{name}/grant", response_model=CHANGED)
async def grant(
    name: NamePart, body: GrantRequest, author: AuthorDep, services: ServicesDep
) -> Response:
    """Replace what a principal may; what it has signed beyond a narrower grant does not count."""
    its, granted = check_name(name), body.granted()
    if not granted:
        raise InvalidCommand(
            "nothing is granted", next_step="send roles, tenants, envs, ops or expires"
        )
    change = author.signed_change(body.reason, body)
    return await _changed(
        services, lambda: services.registry.principals.grant(its, granted, change)
    )


@router.post("/{name}/rotate", response_model=CHANGED)
async def rotate(
    name: NamePart, body: RotateRequest, author: AuthorDep, services: ServicesDep
) -> Response:
    """Add a key to a principal, or end one of its keys; both count meanwhile."""
    its, key = check_name(name), _key(body.key)
    if key is None and body.remove is None:
        raise InvalidCommand("no key is named", next_step="send key or remove")
    change = author.signed_change(body.reason, body)
    return await _changed(
        services,
        lambda: services.registry.principals.rotate(its, change, add=key, remove=body.remove),
    )


@router.post("/{name}/revoke", response_model=CHANGED)
async def revoke(
    name: NamePart, body: RevokeRequest, author: AuthorDep, services: ServicesDep
) -> Response:
    """End a principal for good: nothing that it has ever signed counts from the next claim on."""
    its = check_name(name)
    change = author.signed_change(body.reason, body)
    return await _changed(services, lambda: services.registry.principals.revoke(its, change))


async def _changed(services: Services, change: Callable[[], Principal]) -> Response:
    def done() -> dict[str, Any]:
        principal = change()
        revision = services.registry.principals.verifier().roster.revision
        return {"principal": principal.model_dump(mode="json"), "revision": revision}

    return Json(await services.call(done))


def _key(document: dict[str, Any] | None) -> PrincipalKey | None:
    return None if document is None else PrincipalKey(x=encode(public_of(document).raw))
