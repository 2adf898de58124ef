"""`signalbox routes`: set, switch, lock and rebase. Read-only commands: `route_view.py`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signalbox.commands.error import InvalidCommand
from signalbox.commands.visible import visible
from signalbox.commands.vocabulary import Mode, ResourceKind
from signalbox.producers.cli.connection import make_registry, make_scope, who
from signalbox.producers.cli.console import out, print_json, print_pairs
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.notation import duration
from signalbox.producers.cli.options import AsJson, EnvName, Kind, ModeName, Reason, Tenant, Wait
from signalbox.producers.cli.selection import state_address

if TYPE_CHECKING:
    from signalbox.routing.route import Route

app = new_app(add_completion=False, help="Set, switch and explain routes.", no_args_is_help=True)

Backend = Annotated[str, typer.Argument(help="Backend type, such as filesystem or s3.")]
Config = Annotated[
    list[str] | None,
    typer.Option("-c", "--config", metavar="KEY=VALUE", help="Config of the route; repeatable."),
]
Revision = Annotated[
    int | None, typer.Option("--if-revision", help="Change only this revision; 0: only create.")
]
LockToken = Annotated[
    int | None, typer.Option("--lock-token", help="Change only while this lock is held.")
]


@app.command("set")
def set_(
    kind: Kind,
    backend: Backend,
    tenant: Tenant,
    env: EnvName,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; recorded in the audit trail; required.")
    ] = "",
    mode: ModeName = Mode.LAB,
    config: Config = None,
    if_revision: Revision = None,
    lock_token: LockToken = None,
    as_json: AsJson = False,
) -> None:
    """Create a route, or change credentials and tuning of an existing one."""
    from signalbox.routing.route import RouteTarget

    _check_reason(reason, kind, backend)

    route = make_registry().set(
        make_scope(kind, tenant, env),
        RouteTarget(backend, parse_config(config), mode),
        who(reason),
        if_revision=if_revision,
        lock_token=lock_token,
    )
    _show(route, as_json, changed=True)


@app.command()
def switch(
    kind: Kind,
    backend: Backend,
    tenant: Tenant,
    env: EnvName,
    reason: Annotated[str, typer.Option("--reason", help="Why; needed unless --dry-run.")] = "",
    mode: ModeName = Mode.LAB,
    config: Config = None,
    if_revision: Revision = None,
    lock_token: LockToken = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; show the result.")
    ] = False,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Switch an existing route to another backend or location, without interrupting traffic."""
    from signalbox.producers.cli.switch_dry_run import rehearse
    from signalbox.routing.route import RouteTarget

    scope = make_scope(kind, tenant, env)
    target = RouteTarget(backend, parse_config(config), mode)
    if dry_run:
        rehearse(scope, target, if_revision, lock_token, wait, as_json)
        return
    _check_reason(reason, kind, backend)
    route = make_registry().switch(
        scope,
        target,
        who(reason),
        if_revision=if_revision,
        lock_token=lock_token,
    )
    _show(route, as_json, changed=True)


def _check_reason(reason: str, kind: ResourceKind, backend: str) -> None:
    """Raise BadParameter if there is no reason; a wrong backend is reported before that."""
    from signalbox.adapters.catalogue import find_backend

    if not reason:
        find_backend(kind, backend)
        raise typer.BadParameter("say why: --reason <text>")


@app.command()
def delete(
    kind: Kind,
    tenant: Tenant,
    env: EnvName,
    reason: Reason,
    if_revision: Revision = None,
    lock_token: LockToken = None,
    as_json: AsJson = False,
) -> None:
    """Remove a route; commands of its scope then fail with ROUTE_NOT_FOUND."""
    scope = make_scope(kind, tenant, env)
    make_registry().delete(scope, who(reason), if_revision=if_revision, lock_token=lock_token)
    if as_json:
        print_json({"deleted": scope.field})
    else:
        say_done(f"no route any more for {scope}")


@app.command()
def lock(
    kind: Kind,
    tenant: Tenant,
    env: EnvName,
    reason: Reason,
    ttl: Annotated[str, typer.Option("--ttl", help="How long: 90s, 15m, 2h, 1d.")] = "15m",
    lock_token: Annotated[
        int | None, typer.Option("--lock-token", help="Renew this lock, or fail if it is lost.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep others from changing a route; a repeat by the holder renews the lock."""
    scope = make_scope(kind, tenant, env)
    its = make_registry().locks.lock(scope, duration(ttl), who(reason), lock_token=lock_token)
    document = {"scope": scope.field} | its.document()
    print_json(document) if as_json else print_pairs(document | {"state": state_address()})


@app.command()
def unlock(
    kind: Kind,
    tenant: Tenant,
    env: EnvName,
    reason: Reason,
    force: Annotated[
        bool, typer.Option("--force", help="Release it even if someone else holds it.")
    ] = False,
    lock_token: LockToken = None,
    as_json: AsJson = False,
) -> None:
    """Release a lock; with --force another's, which the audit trail records."""
    scope = make_scope(kind, tenant, env)
    was = make_registry().locks.unlock(scope, who(reason), force=force, lock_token=lock_token)
    if as_json:
        print_json({"unlocked": was.document() if was else None})
    elif was is None:
        say_done(f"no lock was held on {scope}")
    else:
        say_done(f"{scope} is free; {was.owner} had locked it: {was.reason}")


@app.command("rebase")
def rebase_(
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Accept registry and ledger after they lost entries; workers then continue."""
    from signalbox.producers.cli.event_text import print_event
    from signalbox.routing.registry.rebase import rebase

    event = rebase(make_registry(), who(reason))
    assert event is not None  # noqa: S101 - its change_id is new
    if as_json:
        print_json(event.model_dump(mode="json"))
    else:
        print_event(event, as_json=False)
        print_pairs({"state": state_address()})


@app.command()
def get(kind: Kind, tenant: Tenant, env: EnvName, as_json: AsJson = False) -> None:
    """Show one route."""
    from signalbox.routing.route import no_route

    scope = make_scope(kind, tenant, env)
    route = make_registry().get(scope)
    if route is None:
        raise no_route(scope)
    _show(route, as_json)


def parse_config(entries: list[str] | None) -> dict[str, Any]:
    """Parse `key=value` options as a route's config; true, false and JSON lists are converted."""
    config: dict[str, Any] = {}
    for entry in entries or []:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise InvalidCommand(
                f"config {entry!r} is not KEY=VALUE", next_step="such as -c bucket=my-bucket"
            )
        config[name] = _value(value)
    return config


def _value(text: str) -> str | bool | list[str]:
    """Convert `true`, `false` and JSON lists; anything else is text, even a bucket named 007."""
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("["):
        try:
            return [str(entry) for entry in json.loads(text)]
        except ValueError:
            return text
    return text


def say_done(text: str) -> None:
    """Print what was changed, and in which state Redis."""
    out().print(visible(text), markup=False, highlight=False, soft_wrap=True)
    print_pairs({"state": state_address()})


def _show(route: Route, as_json: bool, *, changed: bool = False) -> None:
    """Print a route; after a change also the state Redis, since a context may have selected it."""
    document = route.model_dump(mode="json")
    if as_json:
        print_json(document)
    else:
        where = {"state": state_address()} if changed else {}
        print_pairs(document | {"scope": route.scope.field} | where)
