"""`signalbox policy`: what a tenant may do, where, how much, and at what prices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from commands.error import InvalidCommand, NotFound
from commands.parse import invalid_command
from commands.scope import Mode, check_tenant
from producers.cli.common import (
    AsJson,
    Reason,
    Tenant,
    make_registry,
    print_json,
    print_pairs,
    print_rows,
    who,
)
from routing.policy import Policy, Terms

app = typer.Typer(help="What a tenant may do, where, and how much.", no_args_is_help=True)


@app.command("set")
def set_(
    tenant: Tenant,
    reason: Reason,
    mode: Annotated[
        Mode, typer.Option("-m", "--mode", help="The stricter of it and a command's holds.")
    ] = Mode.LAB,
    backends: Annotated[
        list[str] | None,
        typer.Option("--backends", metavar="KIND=A,B", help="Only these backends; repeatable."),
    ] = None,
    regions: Annotated[
        list[str] | None,
        typer.Option("--regions", metavar="KIND=A,B", help="Only these regions; repeatable."),
    ] = None,
    max_objects: Annotated[int | None, typer.Option(min=0, help="Objects in each env.")] = None,
    max_bytes: Annotated[int | None, typer.Option(min=0, help="Bytes in each env.")] = None,
    max_rate: Annotated[float | None, typer.Option(help="Commands per second in each env.")] = None,
    price_table: Annotated[str | None, typer.Option(help="Table in the price file.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="All terms as JSON, instead of the options.")
    ] = None,
    if_revision: Annotated[int | None, typer.Option("--if-revision")] = None,
    as_json: AsJson = False,
) -> None:
    """Give a tenant these terms; they replace all of the ones before."""
    allowed: dict[str, dict[str, list[str]]] = {}
    for what, entries in (("backends", backends), ("regions", regions)):
        for entry in entries or []:
            kind, equals, names = entry.partition("=")
            if not equals:
                raise typer.BadParameter(f"{entry!r} is not KIND=NAME,NAME")
            allowed.setdefault(kind, {})[what] = [name for name in names.split(",") if name]
    document = {
        "mode": mode,
        "allowed": allowed,
        "quotas": {"objects": max_objects, "bytes": max_bytes, "commands_per_second": max_rate},
        "price_table": price_table,
    }
    policy = make_registry().policies.set(
        check_tenant(tenant), _terms(file, document), if_revision=if_revision, **who(reason)
    )
    _show(policy, as_json)


@app.command()
def get(tenant: Tenant, as_json: AsJson = False) -> None:
    """Show a tenant's policy."""
    policy = make_registry().policies.get(check_tenant(tenant))
    if policy is None:
        raise NotFound(
            "the tenant has no policy: everything is allowed in mode lab",
            tenant_id=tenant,
            next_step="give it one with `signalbox policy set`",
        )
    _show(policy, as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Every tenant's policy."""
    policies = make_registry().policies.all()
    if as_json:
        print_json([policy.model_dump(mode="json") for policy in policies])
        return
    rows = [[p.tenant_id, p.revision, *_words(p.terms).values()] for p in policies]
    columns = ["tenant", "revision", "mode", "allowed", "quotas", "prices"]
    print_rows("policies", columns, rows)


def _terms(file: Path | None, document: dict[str, Any]) -> Terms:
    try:
        if file is not None:
            return Terms.model_validate_json(file.read_text())
        return Terms.model_validate(document)
    except ValidationError as error:
        raise invalid_command(error) from None
    except UnicodeDecodeError:
        raise InvalidCommand(f"{file} is no text", next_step="write the terms as JSON") from None


def _show(policy: Policy, as_json: bool) -> None:
    if as_json:
        print_json(policy.model_dump(mode="json"))
    else:
        print_pairs(
            {"tenant": policy.tenant_id, "revision": policy.revision} | _words(policy.terms)
        )


def _words(terms: Terms) -> dict[str, str]:
    allowed = []
    for kind, rule in terms.allowed.items():
        named = rule.model_dump(exclude_none=True)
        allowed += [f"{kind} {what}: {', '.join(names)}" for what, names in named.items()]
    quotas = terms.quotas.model_dump(exclude_none=True)
    return {
        "mode": terms.mode.value,
        "allowed": "; ".join(allowed) or "everything",
        "quotas": ", ".join(f"{name} {limit}" for name, limit in quotas.items()) or "none",
        "prices": terms.price_table or "default",
    }
