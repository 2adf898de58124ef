"""Who makes a change of the registry, why, under which id, and who signs it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends, Header, Request
from starlette.responses import Response

from signalbox.commands.error import NotGranted, SignalboxError, SignatureMissing
from signalbox.commands.model import new_op_id
from signalbox.gateway.answer import Json
from signalbox.gateway.error import InvalidRequest
from signalbox.gateway.identity import authorize, identity_of
from signalbox.gateway.request_context import KeyHeader
from signalbox.gateway.url_text import utf8
from signalbox.routing.registry.author_signature import AuthorSignature, ChangePrepared
from signalbox.routing.registry.change import Change

log = structlog.get_logger("signalbox.gateway")

PREPARE = "prepare"
"""The header X-Signature of a request whose change is to be prepared."""
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
SignatureHeader = Annotated[
    str | None,
    Header(
        alias="X-Signature",
        max_length=4096,
        description="Where changes are signed, and with a key of your own: `prepare` is answered "
        "with what there is to sign, and the same request with the signature makes the change "
        "(docs/gateway.md). Without it the gateway signs with its key. Needs an Idempotency-Key.",
    ),
]


@dataclass(frozen=True)
class ChangeAuthor:
    """The headers of a request that changes the registry."""

    request: Request
    """The request."""
    key: str | None
    """Its Idempotency-Key."""
    actor: str | None
    """Its X-Actor."""
    signature: str | None
    """Its X-Signature."""

    def change(self, reason: str, *about: object) -> Change:
        """Return the author and reason that a change of the registry is recorded with.

        The change id is made from the Idempotency-Key and from what the change is `about`, so that
        another change with the same key is not taken for a repeat.
        Raises NotGranted if someone else than the request's principal is named, InvalidRequest and
        SignatureInvalid.
        """
        said = utf8(self.actor, "the header X-Actor") if self.actor else None
        identity = identity_of(self.request)
        if identity is not None and said not in (None, identity.name):
            raise NotGranted(
                f"principal {identity.name} makes this change, and X-Actor names someone else",
                next_step="leave X-Actor out",
            )
        named = self.key is not None
        return Change(
            actor=identity.name if identity is not None else said or _caller_of(self.request),
            reason=reason,
            change_id=f"{self.key}:{_digest(self.request, about)}" if named else new_op_id(),
            by_author=self._by_author(),
        )

    def signed_change(self, reason: str, *about: object) -> Change:
        """Do what `change` does for one that the gateway never signs itself.

        Raises SignatureMissing without the author's signature.
        """
        if self.signature is None:
            raise SignatureMissing(
                "the gateway signs no change of principals: an administrator does",
                next_step="send the same with X-Signature: prepare and an Idempotency-Key, sign "
                "what is answered (`signalbox key sign`), and send it with that as X-Signature",
            )
        return self.change(reason, *about)

    def shown(self, error: SignalboxError) -> dict[str, object]:
        """Return what a line of the log says of its refusal."""
        identity = identity_of(self.request)
        return {
            "error": error.code,
            "call": f"{self.request.method} {self.request.url.path}",
            "actor": identity.name if identity is not None else self.actor,
            "step": "prepare" if self.signature == PREPARE else "signed",
            "key": self.key,
        }

    def _by_author(self) -> AuthorSignature | None:
        if self.signature is None:
            return None
        if self.key is None:
            raise InvalidRequest(
                "a change that you sign has an Idempotency-Key",
                next_step="send the same one with what prepares the change and what makes it",
            )
        if self.signature == PREPARE:
            # What proves the change to its author has all principals in it.
            authorize(self.request, "registry.read", None, None)
            return AuthorSignature.wanted()
        return AuthorSignature.read(self.signature)


async def _author(
    request: Request,
    key: KeyHeader = None,
    actor: ActorHeader = None,
    signature: SignatureHeader = None,
) -> AsyncIterator[ChangeAuthor]:
    author = ChangeAuthor(request, key, actor, signature)
    try:
        yield author
    except SignalboxError as error:
        if signature is not None:
            # The audit trail has none of these: an event of it needs its author's signature.
            log.warning("a change that its author signs was refused", **author.shown(error))
        raise


AuthorDep = Annotated[ChangeAuthor, Depends(_author)]


async def on_prepared(_: Request, error: Exception) -> Response:
    """Respond to ChangePrepared: with what there is to sign."""
    assert isinstance(error, ChangePrepared)  # noqa: S101 - registered for it alone
    return Json({"prepared": error.prepared.model_dump(mode="json")})


def _digest(request: Request, about: tuple[object, ...]) -> str:
    asked = (request.method, request.url.path, request.url.query, *about)
    return hashlib.blake2b(repr(asked).encode(), digest_size=16).hexdigest()


def _caller_of(request: Request) -> str:
    return f"http@{request.client.host}" if request.client else "http"
