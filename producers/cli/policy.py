"""`signalbox policy`: a tenant's mode, backends, regions, quotas and prices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from signalbox.commands.error import InvalidCommand, NotFound
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.vocabulary import Mode, check_tenant
from signalbox.producers.cli.connection import make_registry, who
from signalbox.producers.cli.console import print_json, print_pairs, print_rows
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.options import AsJson, Reason, Tenant
from signalbox.producers.cli.selection import state_address

if TYPE_CHECKING:
    from signalbox.routing.policy.policy import Policy, Terms


app = new_app(
    add_completion=False, help="What a tenant may do, where, and how much.", no_args_is_help=True
)


@app.command("set")
def set_(
    tenant: Tenant,
    reason: Reason,
    mode: Annotated[
        Mode,
        typer.Option("-m", "--mode", help="The stricter of this and the command's mode applies."),
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
    signatures: Annotated[
        Signatures,
        typer.Option(help="Commands that are not signed; the stricter of it and the trust file."),
    ] = Signatures.OFF,
    file: Annotated[
        Path | None, typer.Option("--file", help="All terms as JSON, instead of the options.")
    ] = None,
    if_revision: Annotated[
        int | None, typer.Option("--if-revision", help="Change only this revision; 0: only create.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set a tenant's terms. They replace all previous terms: those that are left out no longer
    apply.

    To change one term, edit the terms that `policy get --json` prints, and use --file.
    """
    from signalbox.routing.policy.policy import FREE, Terms

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
        "signatures": signatures,
    }
    terms = _terms(lambda: Terms.model_validate(document))
    if file is not None:
        if terms != FREE:
            raise typer.BadParameter("--file holds all terms: leave the other options out")
        terms = _terms(lambda: Terms.model_validate_json(file.read_text()))
    policy = make_registry().policies.set(
        check_tenant(tenant), terms, who(reason), if_revision=if_revision
    )
    _show(policy, as_json, changed=True)


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
    """List the policies of all tenants."""
    from signalbox.producers.cli.policy_text import words

    policies = make_registry().policies.all()
    if as_json:
        print_json([policy.model_dump(mode="json") for policy in policies])
        return
    rows = [[p.tenant_id, p.revision, *words(p.terms).values()] for p in policies]
    columns = ["tenant", "revision", "mode", "allowed", "quotas", "prices", "signatures"]
    print_rows("policies", columns, rows)


def _terms(read: Callable[[], Terms]) -> Terms:
    from pydantic import ValidationError

    from signalbox.commands.parse import invalid_command

    try:
        return read()
    except ValidationError as error:
        raise invalid_command(error) from None
    except UnicodeDecodeError:
        raise InvalidCommand("the file is no text", next_step="write the terms as JSON") from None


def _show(policy: Policy, as_json: bool, *, changed: bool = False) -> None:
    from signalbox.producers.cli.policy_text import words

    if as_json:
        print_json(policy.model_dump(mode="json"))
    else:
        print_pairs(
            {"tenant": policy.tenant_id}
            | words(policy.terms)
            | {
                "revision": policy.revision,
                "set by": f"{policy.updated_by} at {policy.updated_at:%Y-%m-%d %H:%M:%S} UTC",
                "reason": policy.reason,
                "state": state_address() if changed else None,
            }
        )
