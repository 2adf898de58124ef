"""What tests of the registry do as operators, in few words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from signalbox.commands.model import new_op_id
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.routing.policy.policy import Policy, Terms
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.event import TYPE_PREFIX
from signalbox.routing.registry.registry import Registry
from signalbox.routing.registry.strategy_lock import StrategyLock
from signalbox.routing.route import Route, RouteTarget

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="dev")


def by(actor: str = "ann", reason: str = "because", change_id: str | None = None) -> Change:
    """Who makes a change, and why; a change of its own unless a change_id is given."""
    return Change(actor=actor, reason=reason, change_id=change_id or new_op_id())


def point(
    registry: Registry,
    base_dir: str = "/a",
    actor: str = "ann",
    *,
    scope: Scope = SCOPE,
    mode: Mode = Mode.LAB,
    reason: str = "because",
    change_id: str | None = None,
    if_revision: int | None = None,
    lock_token: int | None = None,
) -> Route:
    """Point the scope's route at a folder, with `set` or `switch`."""
    method = registry.set if registry.get(scope) is None else registry.switch
    target = RouteTarget("filesystem", {"base_dir": base_dir}, mode)
    change = by(actor, reason, change_id)
    return method(scope, target, change, if_revision=if_revision, lock_token=lock_token)


def take(
    registry: Registry,
    actor: str = "ann",
    seconds: float = 60,
    scope: Scope = SCOPE,
    *,
    reason: str = "because",
    change_id: str | None = None,
    lock_token: int | None = None,
) -> StrategyLock:
    """Take or renew the scope's strategy lock."""
    ttl, change = timedelta(seconds=seconds), by(actor, reason, change_id)
    return registry.locks.lock(scope, ttl, change, lock_token=lock_token)


def give_terms(registry: Registry, tenant: str = "t_a", **terms: Any) -> Policy:
    """Give the tenant these terms."""
    return registry.policies.set(tenant, Terms.model_validate(terms), by())


def kinds(registry: Registry) -> list[str]:
    """What happened, as the log has it."""
    return [event.type.removeprefix(TYPE_PREFIX) for event in registry.events(0)]
