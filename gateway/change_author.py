"""Actor, reason and change id with which a change of the registry is recorded."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Header, Request

from signalbox.commands.error import NotGranted
from signalbox.commands.model import new_op_id
from signalbox.gateway.identity import identity_of
from signalbox.gateway.url_text import utf8
from signalbox.routing.registry.change import Change

ActorHeader = Annotated[
    str | None,
    Header(
        alias="X-Actor",
        min_length=1,
        max_length=200,
        description="Who stands in the audit trail: the principal, where calls need one, and "
        "anyone else is refused. Without principals nothing proves it.",
    ),
]


def change_of(
    request: Request, actor: str | None, reason: str, key: str | None, *about: object
) -> Change:
    """Return the author and reason that a change of the registry is recorded with.

    `key` is the request's Idempotency-Key. The change id is made from it and from what the change
    is `about`, so that another change with the same key is not taken for a repeat.
    Raises NotGranted if someone else than the request's principal is named.
    """
    said = utf8(actor, "the header X-Actor") if actor else None
    identity = identity_of(request)
    if identity is not None and said not in (None, identity.name):
        raise NotGranted(
            f"principal {identity.name} makes this change, and X-Actor names someone else",
            next_step="leave X-Actor out",
        )
    return Change(
        actor=identity.name if identity is not None else said or _caller_of(request),
        reason=reason,
        change_id=new_op_id() if key is None else f"{key}:{_digest(request, about)}",
    )


def _digest(request: Request, about: tuple[object, ...]) -> str:
    asked = (request.method, request.url.path, request.url.query, *about)
    return hashlib.blake2b(repr(asked).encode(), digest_size=16).hexdigest()


def _caller_of(request: Request) -> str:
    return f"http@{request.client.host}" if request.client else "http"
