"""A signed registry on a real Redis, and what an attacker with full access to it does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from signalbox.commands.model import new_op_id
from signalbox.commands.proof.keys import PrivateKey, encode
from signalbox.commands.proof.principal import Principal, PrincipalKey
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.trust import Trust
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import State
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget

AUDIENCE = "test-deployment"
ADMIN, OPS, OTHER, THIEF = (PrivateKey(letter * 32) for letter in (b"a", b"o", b"b", b"t"))
"""Keys of an administrator, of operators of t_acme and of t_other, and of nobody."""
FENCES, ROUTES, POLICIES, ROSTER = ("{rt}:fence", "{rt}:routes", "{rt}:policies", "{rt}:principals")


def object_scope(tenant: str = "t_acme", env: str = "prod") -> Scope:
    return Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env=env)


ACME, OTHERS = object_scope(), object_scope("t_other")


def change(reason: str = "test") -> Change:
    return Change(actor="tester", reason=reason, change_id=new_op_id())


def target(folder: Path | str) -> RouteTarget:
    return RouteTarget("filesystem", {"base_dir": str(folder)}, Mode.LAB)


def principal(name: str, key: PrivateKey, **other: Any) -> Principal:
    fields: dict[str, Any] = {
        "name": name,
        "keys": [PrincipalKey(x=encode(key.public.raw))],
        "roles": ["operator"],
        "tenants": ["t_acme"],
    }
    return Principal(**(fields | other))


def trust(signer: PrivateKey | None = None, floor: int = 0) -> Trust:
    administrators = {ADMIN.kid: ("alice", ADMIN.public)}
    return Trust(AUDIENCE, administrators, Signatures.OFF, floor, signer)


@dataclass
class SignedRegistry:
    """Registries of an administrator, of two operators and of a reader, over one Redis."""

    client: State
    folder: Path

    def by(self, signer: PrivateKey | None, floor: int = 0) -> Registry:
        """A registry as another process opens it, which remembers nothing."""
        return Registry(self.client, trust(signer, floor))

    def begin(self) -> None:
        """Add the operators, a route and a policy of each tenant."""
        admin = self.by(ADMIN)
        admin.principals.add(principal("ops", OPS), change())
        admin.principals.add(principal("other", OTHER, tenants=["t_other"]), change())
        self.by(OPS).set(ACME, target(self.folder / "acme"), change())
        self.by(OTHER).set(OTHERS, target(self.folder / "other"), change())

    def read(self, key: str, name: str) -> dict[str, Any]:
        return dict(json.loads(self.client.call("HGET", key, name)))

    def write(self, key: str, name: str, document: Any) -> None:
        """What an attacker writes: anything, anywhere."""
        text = document if isinstance(document, str | bytes) else json.dumps(document)
        self.client.call("HSET", key, name, text)

    def fence(self, subject: str, revision: int, digest: str = "0" * 16) -> None:
        self.client.call("HSET", FENCES, subject, f"{revision}-{digest}")


def now() -> datetime:
    return datetime.now(UTC)
