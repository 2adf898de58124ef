"""Principals: who may sign what, with which keys. The registry stores them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from signalbox.commands.documented import Documented
from signalbox.commands.error import InvalidCommand, NotGranted, SignatureInvalid
from signalbox.commands.proof.keys import PublicKey, encode, public_of

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_GLOB_PATTERN = re.compile(r"[a-z0-9._*-]{1,64}", re.ASCII)


class Role(StrEnum):
    """What a principal may do within its tenants and envs."""

    PRODUCER = "producer"
    READER = "reader"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"


ROLE_OPS: dict[Role, tuple[str, ...]] = {
    Role.READER: (
        "object_store.get",
        "object_store.head",
        "object_store.list",
        "object_store.presign_get",
        "object_store.uri",
        "tabular_store.get",
        "tabular_store.query",
        "tabular_store.list_tables",
        "metrics_store.query",
        "metrics_store.list_series",
        "event_stream.read",
        "event_stream.list_streams",
    ),
    Role.PRODUCER: ("object_store.*", "tabular_store.*", "metrics_store.*", "event_stream.*"),
    Role.OPERATOR: ("routing.*", "policy.*", "registry.read", "dead_letter.*", "status.read"),
    Role.AUDITOR: ("registry.read", "audit.*", "status.read"),
    Role.ADMIN: ("*",),
}
"""The operations of each role, as globs. Principals are changed by administrators' keys alone."""


def check_name(value: str) -> str:
    """Return `value`, or raise InvalidCommand: 1 to 64 of `a-z 0-9 . _ -`."""
    if not NAME_PATTERN.fullmatch(value):
        raise InvalidCommand(
            f"invalid name of a principal {value[:80]!r}",
            next_step="use 1 to 64 lower-case letters, digits, `.`, `_` or `-`",
        )
    return value


def _check_glob(value: str) -> str:
    # Few `*`, since the time to match grows with their number to the power of it.
    if not _GLOB_PATTERN.fullmatch(value) or value.count("*") > 3:
        raise InvalidCommand(
            f"invalid pattern {value[:80]!r}",
            next_step="use lower-case letters, digits, `.`, `_`, `-`, and up to three `*`, each "
            "for any characters",
        )
    return value


Name = Annotated[str, AfterValidator(check_name)]


def _check_x(value: str) -> str:
    return encode(public_of({"kty": "OKP", "crv": "Ed25519", "x": value}).raw)


Globs = Annotated[tuple[Annotated[str, AfterValidator(_check_glob)], ...], Field(max_length=100)]


class PrincipalKey(Documented):
    """A key of a principal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x: Annotated[str, AfterValidator(_check_x)]
    """The public key, 32 bytes as base64url."""
    not_before: datetime | None = None
    """From when on the key may sign; None for always."""
    expires: datetime | None = None
    """Until when the key may sign; None for always."""

    @cached_property
    def public(self) -> PublicKey:
        """The key, to verify with."""
        return public_of({"kty": "OKP", "crv": "Ed25519", "x": self.x})


class Grant(Documented):
    """What a principal may do: operations of roles, for tenants and envs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: tuple[Role, ...] = Field(max_length=8)
    """Its roles."""
    tenants: Globs
    """Tenants to which the roles apply, as globs such as `t_acme` or `t_lab-*`."""
    envs: Globs = ("*",)
    """Envs to which the roles apply, as globs."""
    ops: Globs = ("*",)
    """Operations to which the roles are restricted, as globs such as `object_store.*`."""

    def permits(self, op: str, tenant_id: str | None, env: str | None) -> bool:
        """True if a role covers the operation there. None stands for all tenants, or all envs."""
        return _permits(self.roles, self.tenants, self.envs, self.ops, op, tenant_id, env)

    def has(self, op: str) -> bool:
        """True if a role has the operation, for any tenant and env."""
        return _has(self.roles, self.ops, op)

    def covers(self, tenant_id: str | None, env: str | None) -> bool:
        """True if it applies to this tenant and env. None stands for all of them."""
        return _covers(self.tenants, tenant_id) and _covers(self.envs, env)


class Principal(Grant):
    """Who may sign: a name with keys, and what they may sign."""

    name: Name
    """Name of the principal, such as `billing-service`."""
    keys: tuple[PrincipalKey, ...] = Field(max_length=8)
    """Its keys, all of them valid at the same time; more than one while it changes to a new one."""
    expires: datetime | None = None
    """Until when it is valid; None for always."""
    revoked: datetime | None = None
    """When it was revoked, after which no signature of its keys is valid; None if it was not."""

    def key(self, kid: str) -> PrincipalKey | None:
        """Return its key with that id, None if it has none."""
        for key in self.keys:
            if key.public.kid == kid:
                return key
        return None

    def ended(self, at: datetime) -> str | None:
        """Return why it is not valid at that time, None if it is."""
        if self.revoked is not None:
            return f"principal {self.name} is revoked"
        if self.expires is not None and at >= self.expires:
            return f"principal {self.name} has expired"
        return None

    def key_ended(self, kid: str, at: datetime) -> str | None:
        """Return why the principal or its key with that id is not valid then; None if it is."""
        if (reason := self.ended(at)) is not None:
            return reason
        key = self.key(kid)
        if key is None:
            return f"principal {self.name} does not have this key"
        if key.not_before is not None and at < key.not_before:
            return f"this key of principal {self.name} is not valid yet"
        if key.expires is not None and at >= key.expires:
            return f"this key of principal {self.name} has expired"
        return None

    def check(
        self, kid: str, op: str, tenant_id: str | None, env: str | None, *, at: datetime
    ) -> None:
        """Raise unless the principal may have `op` signed with this key at that time.

        Raises SignatureInvalid if the key or the principal is not valid then, and NotGranted.
        """
        reason = self.key_ended(kid, at)
        if reason is not None:
            raise SignatureInvalid(
                f"the signature does not count: {reason}",
                tenant_id=tenant_id,
                env=env,
                next_step=f"sign {op} with a valid key; see `signalbox principal show {self.name}`",
            )
        if not self.permits(op, tenant_id, env):
            raise NotGranted(
                f"principal {self.name} may not {op} in {tenant_id or 'all tenants'}/"
                f"{env or 'all envs'}",
                tenant_id=tenant_id,
                env=env,
                next_step=f"look at what it may (`signalbox principal show {self.name}`), and ask "
                "an administrator for a grant",
            )


def matches(value: str, globs: Iterable[str]) -> bool:
    """True if one of the globs matches all of the value; `*` stands for any characters."""
    return any(
        glob == value or ("*" in glob and _compiled(glob).fullmatch(value)) for glob in globs
    )


@lru_cache(maxsize=4096)
def _permits(
    roles: tuple[Role, ...],
    tenants: tuple[str, ...],
    envs: tuple[str, ...],
    ops: tuple[str, ...],
    op: str,
    tenant_id: str | None,
    env: str | None,
) -> bool:
    """`Grant.permits`, whose answer depends on nothing else."""
    return _has(roles, ops, op) and _covers(tenants, tenant_id) and _covers(envs, env)


def _has(roles: tuple[Role, ...], ops: tuple[str, ...], op: str) -> bool:
    return any(matches(op, ROLE_OPS[role]) for role in roles) and matches(op, ops)


def _covers(globs: Iterable[str], value: str | None) -> bool:
    return "*" in globs if value is None else matches(value, globs)


@lru_cache(maxsize=4096)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, re.split(r"\*+", glob))), re.DOTALL)
