"""`signalbox principal`: who may sign what. All changes need the key of an administrator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signalbox.producers.cli.connection import make_registry, who
from signalbox.producers.cli.console import err, out, print_json, print_pairs, print_rows
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.notation import moment
from signalbox.producers.cli.options import AsJson, Reason
from signalbox.producers.cli.selection import state_address

if TYPE_CHECKING:
    from signalbox.commands.proof.principal import Principal, PrincipalKey

app = new_app(add_completion=False, help="Who may sign what.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the principal, such as billing-service.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help="producer, reader, operator, auditor or admin; repeatable."),
]
Tenants = Annotated[
    list[str] | None,
    typer.Option("--tenants", metavar="GLOB", help="Tenants, such as t_lab-*; repeatable."),
]
Envs = Annotated[list[str] | None, typer.Option("--envs", metavar="GLOB", help="Envs; repeatable.")]
Ops = Annotated[
    list[str] | None,
    typer.Option("--ops", metavar="GLOB", help="Operations, within the roles; repeatable."),
]
Expires = Annotated[
    str | None, typer.Option("--expires", help="Until when; a time such as 2027-01-31T00:00Z.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="File with a public key, as `signalbox key show` prints it. Left out for one that "
        "only an issuer's tokens prove at the gateway: it signs nothing.",
    ),
]


@app.command()
def add(
    name: Name,
    reason: Reason,
    key: KeyFile = None,
    roles: Roles = None,
    tenants: Tenants = None,
    envs: Envs = None,
    ops: Ops = None,
    expires: Expires = None,
    as_json: AsJson = False,
) -> None:
    """Add a principal: a name, a key, and what it may do.

    Without a key, it can only use tokens of an issuer (OpenID Connect).
    """
    from signalbox.commands.proof.principal import Principal

    granted = _granted(roles, tenants, envs, ops, expires)
    if "roles" not in granted or "tenants" not in granted:
        raise typer.BadParameter("--role and --tenants say what it may: name at least one of each")
    keys = (_key(key),) if key is not None else ()
    principal = _checked(Principal, {"name": name, "keys": keys} | granted)
    _show(make_registry().principals.add(principal, who(reason)), as_json, changed=True)


@app.command()
def grant(
    name: Name,
    reason: Reason,
    roles: Roles = None,
    tenants: Tenants = None,
    envs: Envs = None,
    ops: Ops = None,
    expires: Expires = None,
    as_json: AsJson = False,
) -> None:
    """Change what a principal may do; options that are not given stay as they are.

    Its signatures beyond a narrower grant are not valid any more.
    """
    granted = _granted(roles, tenants, envs, ops, expires)
    if not granted:
        raise typer.BadParameter("say what it may: --role, --tenants, --envs, --ops or --expires")
    _show(make_registry().principals.grant(name, granted, who(reason)), as_json, changed=True)


@app.command()
def rotate(
    name: Name,
    reason: Reason,
    key: Annotated[
        Path | None, typer.Option("--key", help="File with the public key to add.")
    ] = None,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="KID", help="Id of the key to remove.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a key to a principal, or remove one of its keys, or both.

    The signatures of a removed key are not valid any more.
    """
    if key is None and remove is None:
        raise typer.BadParameter("name a key with --key or --remove")
    added = _key(key) if key is not None else None
    registry = make_registry()
    principal = registry.principals.rotate(name, who(reason), add=added, remove=remove)
    _show(principal, as_json, changed=True)


@app.command()
def revoke(name: Name, reason: Reason, as_json: AsJson = False) -> None:
    """Revoke a principal permanently: from the next claim on, none of its signatures is valid."""
    principals = make_registry().principals
    _show(principals.revoke(name, who(reason)), as_json, changed=True)
    err().print(
        "see what of its routes and policies does not count any more: signalbox audit adopt\n"
        f'if a key was stolen, put "floor": {principals.verifier().roster.revision} into the trust '
        "files",
        soft_wrap=True,
        highlight=False,
    )


@app.command()
def adopt(
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
) -> None:
    """List all principals, and sign them as they are with your key, which is an administrator's.

    Needed when the key that signed them leaves the trust file. Review each: if the key was stolen,
    the thief may have written it.
    """
    principals = make_registry().principals
    roster = principals.standing()
    _print_all(list(roster.principals.values()))
    if not yes:
        typer.confirm(f"Sign these {len(roster.principals)} as they are?", abort=True)
    principals.adopt(roster, who(reason))
    out().print(f"signed {len(roster.principals)}", highlight=False)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all principals, including revoked ones."""
    principals = make_registry().principals.all()
    if as_json:
        print_json([principal.model_dump(mode="json") for principal in principals])
        return
    _print_all(principals)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show what a principal may do, and its keys."""
    _show(make_registry().principals.get(name), as_json)


def _granted(
    roles: list[str] | None,
    tenants: list[str] | None,
    envs: list[str] | None,
    ops: list[str] | None,
    expires: str | None,
) -> dict[str, Any]:
    lists = {"roles": roles, "tenants": tenants, "envs": envs, "ops": ops}
    granted: dict[str, Any] = {name: tuple(value) for name, value in lists.items() if value}
    return granted | ({"expires": moment(expires)} if expires else {})


def _key(path: Path) -> PrincipalKey:
    from signalbox.commands.proof.keys import encode, public_of, read_json
    from signalbox.commands.proof.principal import PrincipalKey

    return PrincipalKey(x=encode(public_of(read_json(path)).raw))


def _checked(model: type[Principal], document: dict[str, Any]) -> Principal:
    from pydantic import ValidationError

    from signalbox.commands.parse import invalid_command

    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid_command(error) from None


def _print_all(principals: list[Principal]) -> None:
    rows: list[list[Any]] = [list(_words(principal).values()) for principal in principals]
    columns = ["name", "roles", "tenants", "envs", "ops", "keys", "state"]
    print_rows("principals", columns, rows)


def _words(principal: Principal) -> dict[str, str]:
    state = "in force"
    if principal.revoked is not None:
        state = f"revoked {principal.revoked:%Y-%m-%d %H:%M} UTC"
    elif principal.expires is not None:
        state = f"until {principal.expires:%Y-%m-%d %H:%M} UTC"
    return {
        "name": principal.name,
        "roles": ", ".join(principal.roles),
        "tenants": ", ".join(principal.tenants),
        "envs": ", ".join(principal.envs),
        "ops": ", ".join(principal.ops),
        "keys": ", ".join(key.public.kid for key in principal.keys),
        "state": state,
    }


def _show(principal: Principal, as_json: bool, *, changed: bool = False) -> None:
    if as_json:
        print_json(principal.model_dump(mode="json"))
    else:
        print_pairs(_words(principal) | {"in": state_address() if changed else None})
