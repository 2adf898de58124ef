"""Shared by all subcommands: options, the client, and how answers and errors are printed."""

from __future__ import annotations

import getpass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

import signalbox
from signalbox.commands.vocabulary import Mode, ResourceKind, check_env, check_tenant
from signalbox.producers.cli.console import err, print_json, print_pairs
from signalbox.producers.cli.selection import from_context, mode_or_context, settings

if TYPE_CHECKING:
    from signalbox.producers.bulk.folder import Tenancy
    from signalbox.routing.registry.change import Change
    from signalbox.routing.registry.registry import Registry

Tenant = Annotated[
    str,
    typer.Option(
        "-t",
        "--tenant",
        help="Tenant id, such as t_demo.",
        default_factory=from_context("tenant", "-t"),
        show_default="the context's",
    ),
]
EnvName = Annotated[
    str,
    typer.Option(
        "-e",
        "--env",
        help="Environment, such as dev.",
        default_factory=from_context("env", "-e"),
        show_default="the context's",
    ),
]
ModeName = Annotated[
    Mode,
    typer.Option(
        "-m",
        "--mode",
        help="Mode the tenant runs under.",
        callback=mode_or_context,
        show_default="the context's, or lab",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Kind = Annotated[ResourceKind, typer.Argument(help="Kind of resource.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; recorded in the audit trail.")]
SUPERSEDED = "Nothing was changed: the effect of a newer command was there already."

Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the outcome.")]
OpPrefix = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="With -: op_ids are NAME-<line number>, so that a repeated run has no second effect.",
    ),
]
WaitLines = Annotated[
    float | None,
    typer.Option("--wait", min=0, help="Seconds to wait for an outcome: 30; with -: 600."),
]
ONE_WAIT = 30.0


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


def pairs(entries: list[str] | None) -> dict[str, str]:
    """Parse `NAME=VALUE` options into a dictionary."""
    found = {}
    for entry in entries or []:
        name, equals, value = entry.partition("=")
        if not equals:
            raise typer.BadParameter(f"{entry!r} is not NAME=VALUE")
        found[name] = value
    return found


def actor() -> str:
    """Return the name that the audit trail records."""
    return getpass.getuser()


def show(outcome: signalbox.Outcome, as_json: bool) -> dict[str, Any]:
    """Print the result of a finished command; RemoteError if it failed."""
    result = outcome.unwrap()
    if as_json:
        print_json(result | {"op_id": outcome.op_id, "backend_type": outcome.backend_type})
        return result
    plain = {name: value for name, value in result.items() if name != "superseded"}
    print_pairs(plain | {"backend": outcome.backend_type, "op_id": outcome.op_id})
    if result.get("superseded"):
        err().print(SUPERSEDED)
    return result


def run_and_show(command: signalbox.Command, wait: float, as_json: bool) -> None:
    """Run one command and print its result."""
    with make_client() as client:
        show(client.run_outcome(command, timedelta(seconds=wait)), as_json)
