"""Fences: what a claim reads of routes and policies, so that no command runs on an old route.

The registry (`routing/registry`) writes a new fence with each change of a route or policy. Claims
read fences after they have taken their commands, so every change that was acknowledged before is
seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

FENCE_KEY = "{rt}:fence"
"""Redis hash with the fences of routes (field `kind/tenant/env`) and policies (`policy/tenant`),
and the registry's epoch (`@epoch`)."""


@dataclass(frozen=True)
class Fences:
    """The registry's epoch, and fences; None where a route or policy was never set."""

    epoch: str | None
    policies: dict[str, str | None]
    """Fences of policies by tenant."""
    routes: dict[str, str | None]
    """Fences of routes by scope, `kind/tenant/env`."""


@dataclass(frozen=True)
class FenceQuestion:
    """Reads the fences of some scopes, and of the policies of their tenants."""

    scopes: Sequence[str]
    tenants: Sequence[str]

    @classmethod
    def of(cls, scopes: Iterable[str]) -> FenceQuestion:
        asked = sorted(set(scopes))
        return cls(asked, sorted({scope.split("/")[1] for scope in asked}))

    def call(self) -> tuple[Any, ...]:
        """The call for the state Redis."""
        policies = [f"policy/{tenant}" for tenant in self.tenants]
        return ("HMGET", FENCE_KEY, "@epoch", *policies, *self.scopes)

    def read(self, answer: Sequence[bytes | None]) -> Fences:
        """Parse the answer of the call."""
        epoch, *fences = [fence.decode(errors="replace") if fence else None for fence in answer]
        number = len(self.tenants)
        return Fences(
            epoch,
            dict(zip(self.tenants, fences[:number], strict=True)),
            dict(zip(self.scopes, fences[number:], strict=True)),
        )
