"""`signalbox routes`: set, switch and explain routes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.error import InvalidCommand
from commands.model import new_op_id
from commands.scope import Mode, ResourceKind, Scope, check_env, check_tenant
from commands.settings import Settings
from commands.state import connect
from producers.cli.common import (
    AsJson,
    EnvName,
    ModeName,
    Tenant,
    actor,
    out,
    print_json,
    print_pairs,
    print_rows,
)
from routing.event import StreamEvent
from routing.registry import Registry
from routing.route import Route, no_route

app = typer.Typer(help="Set, switch and explain routes.", no_args_is_help=True)

Kind = Annotated[ResourceKind, typer.Argument(help="Kind of resource.")]
Backend = Annotated[str, typer.Argument(help="Backend type, such as filesystem or s3.")]
Config = Annotated[
    list[str] | None,
    typer.Option("-c", "--config", metavar="KEY=VALUE", help="Config of the route; repeatable."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit trail.")]
Revision = Annotated[
    int | None, typer.Option("--if-revision", help="Change only this revision; 0: only create.")
]


@app.command("set")
def set_(
    kind: Kind,
    backend: Backend,
    tenant: Tenant,
    env: EnvName,
    reason: Reason,
    mode: ModeName = Mode.LAB,
    config: Config = None,
    if_revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Create a route, or change the config of the one that is there."""
    change = _registry().set
    _point(change, _scope(kind, tenant, env), backend, config, mode, reason, if_revision, as_json)


@app.command()
def switch(
    kind: Kind,
    backend: Backend,
    tenant: Tenant,
    env: EnvName,
    reason: Reason,
    mode: ModeName = Mode.LAB,
    config: Config = None,
    if_revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Point an existing route at another backend or place, while traffic runs."""
    change = _registry().switch
    _point(change, _scope(kind, tenant, env), backend, config, mode, reason, if_revision, as_json)


@app.command()
def delete(
    kind: Kind,
    tenant: Tenant,
    env: EnvName,
    reason: Reason,
    if_revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Remove a route; commands of its scope then fail with ROUTE_NOT_FOUND."""
    scope = _scope(kind, tenant, env)
    _registry().delete(
        scope, actor=actor(), reason=reason, if_revision=if_revision, change_id=new_op_id()
    )
    if as_json:
        print_json({"deleted": scope.field})
    else:
        out.print(f"no route any more for {scope}")


@app.command()
def get(kind: Kind, tenant: Tenant, env: EnvName, as_json: AsJson = False) -> None:
    """Show one route."""
    scope = _scope(kind, tenant, env)
    route = _registry().get(scope)
    if route is None:
        raise no_route(scope)
    _show(route, as_json)


@app.command("list")
def list_(
    kind: Annotated[ResourceKind | None, typer.Argument(help="Kind; left out: all.")] = None,
    tenant: Annotated[str | None, typer.Option("-t", "--tenant", help="Only this tenant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Routes of a kind to show at most.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List routes by kind, over all tenants or for one."""
    registry = _registry()
    if tenant is not None:
        check_tenant(tenant)
    routes: list[Route] = []
    for each in [kind] if kind else list(ResourceKind):
        routes += registry.list_page(each, tenant_id=tenant, limit=limit).routes
    if as_json:
        print_json([route.model_dump(mode="json") for route in routes])
        return
    rows = [
        [r.scope.kind, r.scope.tenant_id, r.scope.env, r.backend_type, r.config, r.revision]
        for r in routes
    ]
    print_rows("routes", ["kind", "tenant", "env", "backend", "config", "revision"], rows)


@app.command()
def history(
    kind: Kind,
    tenant: Tenant,
    env: EnvName,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """Who changed a route, when, why, from what to what; refusals too."""
    events = _registry().history(_scope(kind, tenant, env), limit=limit)
    if as_json:
        print_json([event.model_dump(mode="json") for event in events])
    else:
        print_events("history", events)


@app.command()
def watch(
    after: Annotated[int | None, typer.Option(help="Start behind this revision.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print every route change as it happens, until Ctrl-C."""
    registry = _registry()
    cursor = registry.head().revision if after is None else after
    while True:
        for event in registry.events(cursor, limit=100, block_ms=1000):
            cursor = event.revision
            print_event(event, as_json)


def parse_config(entries: list[str] | None) -> dict[str, Any]:
    """`key=value` options as a route's config; true, false and numbers become what they are."""
    config: dict[str, Any] = {}
    for entry in entries or []:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise InvalidCommand(
                f"config {entry!r} is not KEY=VALUE", next_step="such as -c bucket=my-bucket"
            )
        config[name] = _value(value)
    return config


def print_events(title: str, events: list[StreamEvent]) -> None:
    """A table of changes; the route is named once if all are of one route."""
    subjects = {event.subject for event in events}
    one = len(subjects) == 1
    rows = []
    for event in events:
        error = event.data.error
        row = [
            event.revision,
            event.time.strftime("%m-%d %H:%M:%S"),
            event.type.rpartition(".")[2],
            event.data.actor,
            event.data.reason,
            _place(event.data.before),
            _place(event.data.after) if error is None else error["code"],
        ]
        rows.append(row if one else [row[0], event.subject, *row[1:]])
    columns = ["rev", "time (UTC)", "what", "who", "why", "before", "after"]
    if one:
        title = f"{title} {subjects.pop()}".strip()
    print_rows(title, columns if one else [columns[0], "route", *columns[1:]], rows)


def print_event(event: StreamEvent, as_json: bool) -> None:
    if as_json:
        print_json(event.model_dump(mode="json"))
        return
    data = event.data
    after = _place(data.after) if data.error is None else data.error["code"]
    out.print(
        f"{event.revision} {event.time:%H:%M:%S} {event.type.rpartition('.')[2]} {event.subject} "
        f"{_place(data.before)} -> {after} ({data.actor}: {data.reason})",
        soft_wrap=True,
        markup=False,
    )


def _point(
    change: Callable[..., Route],
    scope: Scope,
    backend: str,
    config: list[str] | None,
    mode: Mode,
    reason: str,
    if_revision: int | None,
    as_json: bool,
) -> None:
    route = change(
        scope,
        backend,
        parse_config(config),
        mode=mode,
        actor=actor(),
        reason=reason,
        if_revision=if_revision,
        change_id=new_op_id(),
    )
    _show(route, as_json)


def _place(route: dict[str, Any] | None) -> str:
    """Backend and place in a few words; `--json` has the whole config."""
    if not route:
        return "–"
    config = route.get("config", {})
    place = config.get("bucket") or Path(str(config.get("base_dir", ""))).name
    return f"{route['backend_type']} {place}".strip()


def _value(text: str) -> str | bool | list[str]:
    """`true`, `false` and JSON lists; all else stays text, a bucket named 007 too."""
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("["):
        try:
            return [str(entry) for entry in json.loads(text)]
        except ValueError:
            return text
    return text


def _show(route: Route, as_json: bool) -> None:
    document = route.model_dump(mode="json")
    if as_json:
        print_json(document)
    else:
        print_pairs(document | {"scope": route.scope.field})


def _scope(kind: ResourceKind, tenant: str, env: str) -> Scope:
    return Scope(kind=kind, tenant_id=check_tenant(tenant), env=check_env(env))


def _registry() -> Registry:
    return Registry(connect(Settings().state_url))
