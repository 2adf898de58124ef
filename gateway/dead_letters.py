"""HTTP API for dead letters: list, show, replay and purge them."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.error import InvalidCommand, NotFound
from signalbox.commands.ledger.dead import DeadLetter, Which
from signalbox.commands.ref import Ref
from signalbox.commands.scope import ResourceKind, check_env, check_tenant
from signalbox.commands.vocabulary import ENV_PATTERN, TENANT_PATTERN
from signalbox.gateway.answer import Json
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.identity import authorize
from signalbox.gateway.operation_models import (
    DeadLetterAnswer,
    DeadLettersPage,
    PurgedLetters,
    ReplayedLetters,
)
from signalbox.gateway.request_context import ServicesDep
from signalbox.gateway.services import Services
from signalbox.gateway.url_text import EnvPart, NamePart, TenantPart
from signalbox.producers.dead_letter import discard, document_of

router = APIRouter(prefix="/v1/dead-letters", route_class=BoundedRoute, tags=["dead letters"])

MAX_LETTERS = 500
"""Maximum number of dead letters in one request."""


class Chosen(BaseModel):
    """Selects dead letters: the named ones, or those that match all filters.

    At most 500 per request.
    """

    model_config = ConfigDict(extra="forbid")

    refs: list[Ref] = Field(
        default_factory=list, max_length=MAX_LETTERS, description="tenant/env/op_id"
    )
    tenant_id: str | None = None
    env: str | None = None
    kind: ResourceKind | None = None
    code: str | None = None
    older_than: int | None = Field(None, ge=0, le=10**9, description="Seconds.")
    all: bool = Field(False, description="Without a filter: really any of them.")

    def which(self) -> Which:
        """Return the filters."""
        return Which(
            tenant_id=None if self.tenant_id is None else check_tenant(self.tenant_id),
            env=None if self.env is None else check_env(self.env),
            kind=self.kind,
            code=self.code,
            older_than=None if self.older_than is None else timedelta(seconds=self.older_than),
        )


@router.get("", response_model=DeadLettersPage)
async def list_letters(
    services: ServicesDep,
    tenant: Annotated[str | None, Query()] = None,
    env: Annotated[str | None, Query()] = None,
    kind: Annotated[ResourceKind | None, Query()] = None,
    code: Annotated[str | None, Query()] = None,
    older_than: Annotated[int | None, Query(ge=0, le=10**9, description="Seconds.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LETTERS)] = 100,
) -> Response:
    """Return dead letters with error, attempts, worker and time."""
    which = Chosen(tenant_id=tenant, env=env, kind=kind, code=code, older_than=older_than).which()
    found = await services.call(
        lambda: list(itertools.islice(services.client.dead.find(which), limit + 1))
    )
    letters = [document_of(letter) for letter in found[:limit]]
    return Json({"dead_letters": letters, "more": len(found) > limit})


@router.get("/{tenant}/{env}/{op_id}", response_model=DeadLetterAnswer)
async def show(
    tenant: Annotated[TenantPart, Path(description="Tenant, `t_` and a name.")],
    env: Annotated[EnvPart, Path(description="Env, such as `dev`.")],
    op_id: Annotated[NamePart, Path()],
    services: ServicesDep,
) -> Response:
    """Return one dead letter with all fields; content is left out."""
    ref = f"{check_tenant(tenant)}/{check_env(env)}/{op_id}"
    letter = await services.call(lambda: services.client.dead.get(ref))
    if letter is None:
        raise _unknown(ref[:200])
    return Json(document_of(letter))


@router.post("/replay", response_model=ReplayedLetters)
async def replay(body: Chosen, request: Request, services: ServicesDep) -> Response:
    """Run dead letters again, each once, at the end of its order; op_ids do not change."""
    _authorize(request, "dead_letter.replay", body)

    def replayed() -> dict[str, Any]:
        letters = _chosen(services, body)
        answer = services.client.replay([letter.ref for letter in letters])
        return {
            "replayed": len(answer.wakes),
            "left": answer.left,
            "more": len(letters) == MAX_LETTERS,
        }

    return Json(await services.call(replayed))


@router.post("/purge", response_model=PurgedLetters)
async def purge(body: Chosen, request: Request, services: ServicesDep) -> Response:
    """Remove dead letters permanently, with their staged content."""
    _authorize(request, "dead_letter.purge", body)

    def purged() -> dict[str, Any]:
        letters = _chosen(services, body)
        gone = set(services.client.dead.purge([letter.ref for letter in letters]))
        for letter in letters:
            if letter.ref in gone:  # A letter that was replayed meanwhile needs its content.
                discard(services.client.content, letter)
        return {"purged": len(gone), "more": not body.refs and len(letters) == MAX_LETTERS}

    return Json(await services.call(purged))


def _authorize(request: Request, op: str, body: Chosen) -> None:
    """Check that the principal may do this with each tenant's letters that are chosen."""
    which = body.which()
    chosen = {(which.tenant_id, which.env)}
    if body.refs:
        chosen = {_scope_of(ref) for ref in body.refs}
    for tenant_id, env in chosen:
        authorize(request, op, tenant_id, env)


def _scope_of(ref: Ref) -> tuple[str | None, str | None]:
    """Tenant and env of a ref; None, as for all, where it is no command's."""
    tenant_id, _, rest = ref.partition("/")
    env = rest.partition("/")[0]
    if TENANT_PATTERN.fullmatch(tenant_id) and ENV_PATTERN.fullmatch(env):
        return tenant_id, env
    return None, None


def _chosen(services: Services, body: Chosen) -> list[DeadLetter]:
    which, dead = body.which(), services.client.dead
    if body.refs:
        letters = [dead.get(ref) if ref.count("/") >= 2 else None for ref in body.refs]
        if missing := sum(letter is None for letter in letters):
            raise _unknown(f"{missing} of these refs")
        return [letter for letter in letters if letter is not None]
    if which == Which() and not body.all:
        raise InvalidCommand(
            "no dead letters are named", next_step='give refs or a filter, or say "all": true'
        )
    return list(itertools.islice(dead.find(which), MAX_LETTERS))


def _unknown(what: str) -> NotFound:
    return NotFound(f"there is no dead letter {what}", next_step="see GET /v1/dead-letters")
