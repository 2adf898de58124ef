"""What a subcommand works with: the client, the registry, and who calls."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import signalbox
from signalbox.commands.vocabulary import Mode, ResourceKind, check_env, check_tenant
from signalbox.producers.cli.selection import settings

if TYPE_CHECKING:
    from signalbox.producers.bulk.folder import Tenancy
    from signalbox.routing.registry.change import Change
    from signalbox.routing.registry.registry import Registry


def make_tenancy(tenant: str, env: str, mode: Mode) -> Tenancy:
    """Return tenant, env and mode of the command. Raises InvalidScope before anything is sent."""
    from signalbox.producers.bulk.folder import Tenancy

    return Tenancy(check_tenant(tenant), check_env(env), mode)


def make_client() -> signalbox.Client:
    return signalbox.Client(settings())


def make_registry() -> Registry:
    from signalbox.commands.proof.trust import trust_of
    from signalbox.commands.state import connect_to
    from signalbox.routing.registry.registry import Registry

    return Registry(connect_to(settings()), trust_of(settings()))


def make_scope(kind: ResourceKind, tenant: str, env: str) -> signalbox.Scope:
    """Return the scope of the route. Raises InvalidScope before anything is read."""
    return signalbox.Scope(kind=kind, tenant_id=check_tenant(tenant), env=check_env(env))


def who(reason: str) -> Change:
    """Author and reason that a change of the registry is recorded with."""
    from signalbox.commands.model import new_op_id
    from signalbox.routing.registry.change import Change

    return Change(actor=actor(), reason=reason, change_id=new_op_id())


def named(tenancy: Tenancy, op_id: str | None = None) -> dict[str, Any]:
    """The fields that every command has."""
    return tenancy.fields | ({} if op_id is None else {"op_id": op_id})


def actor() -> str:
    """Return the name that the audit trail records."""
    return getpass.getuser()
