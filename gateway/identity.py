"""Who calls, where each call needs a principal, and what they may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Request

from signalbox.commands.error import NotGranted
from signalbox.commands.proof.principal import Grant

KEY = "signalbox.identity"
"""Where a request's ASGI scope has the identity."""


AGAIN = "signalbox.identity.again"
"""Where it has what finds the identity out anew, and checks the call again."""


@dataclass(frozen=True)
class Identity:
    """Who makes a request, as a token proved it, and what they may do: what all grants allow."""

    name: str
    """Name of the principal or administrator."""
    grants: tuple[Grant, ...]
    """Of the principal, of who signed the token, and of the token."""

    def check(self, op: str, tenant_id: str | None, env: str | None) -> None:
        """Raise NotGranted unless they may do this there. None: all tenants, or all envs."""
        if all(grant.permits(op, tenant_id, env) for grant in self.grants):
            return
        raise self._refusal(f"{op} in {_words(tenant_id, env)}", tenant_id, env)

    def check_place(self, tenant_id: str | None, env: str | None) -> None:
        """Raise NotGranted unless they may do anything there."""
        if not all(grant.roles and grant.covers(tenant_id, env) for grant in self.grants):
            raise self._refusal(f"do anything in {_words(tenant_id, env)}", tenant_id, env)

    def check_any(self, op: str) -> None:
        """Raise NotGranted unless they may do this for some tenant, yet to be checked."""
        if not all(grant.has(op) for grant in self.grants):
            raise self._refusal(op, None, None)

    def _refusal(self, what: str, tenant_id: str | None, env: str | None) -> NotGranted:
        return NotGranted(
            f"principal {self.name} may not {what}",
            tenant_id=tenant_id,
            env=env,
            next_step=f"look at what it may (`signalbox principal show {self.name}`) and what its "
            "token is narrowed to, and ask an administrator for a grant",
        )


def identity_of(request: Request) -> Identity | None:
    """Return who makes the request; None where calls need no principal, or by a static token."""
    identity: Identity | None = request.scope.get(KEY)
    return identity


def authorize(request: Request, op: str, tenant_id: str | None, env: str | None) -> None:
    """Check a request whose body, or what it finds, says what it concerns. Raises NotGranted."""
    if (identity := identity_of(request)) is not None:
        identity.check(op, tenant_id, env)


async def check_again(request: Request) -> None:
    """Check once more whether the caller may make this request, where it goes on for long.

    Raises what refused it at its beginning.
    """
    again: Callable[[], Awaitable[None]] | None = request.scope.get(AGAIN)
    if again is not None:
        await again()


def now() -> datetime:
    """Return the time by which keys and principals expire."""
    return datetime.now(UTC)


def _words(tenant_id: str | None, env: str | None) -> str:
    return f"{tenant_id or 'all tenants'}/{env or 'all envs'}"
