"""`signalbox routes list`, `history`, `watch` and `check`: read-only commands for routes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signalbox.commands.vocabulary import Mode, ResourceKind, check_tenant
from signalbox.producers.cli.connection import make_registry, make_scope
from signalbox.producers.cli.console import err, print_json, print_rows
from signalbox.producers.cli.options import AsJson, EnvName, Kind, ModeName, Tenant, Wait
from signalbox.producers.cli.routes import app

if TYPE_CHECKING:
    from signalbox.routing.system_view import RouteStatus


@app.command("list")
def list_(
    kind: Annotated[
        ResourceKind | None, typer.Option("-k", "--kind", help="Only this kind of resource.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("-t", "--tenant", help="Only this tenant.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="TENANT/ENV", help="Continue after this scope.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Routes of a kind to show.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the routes of all tenants with health, use and lock, a page of each kind at a time.

    With --json a list of pages; with --kind only that one.
    """
    from signalbox.commands.ledger.usage import UsageBook
    from signalbox.routing.system_view import SystemView

    if after is not None and kind is None:
        raise typer.BadParameter("--after continues one kind: add --kind")
    if tenant is not None:
        check_tenant(tenant)
    registry = make_registry()
    view = SystemView(registry, UsageBook(registry.client))
    pages = []
    for each in [kind] if kind else list(ResourceKind):
        page = view.page(each, tenant_id=tenant, after=after, limit=limit)
        if as_json:
            routes = [status.document() for status in page.statuses]
            pages.append({"kind": each, "routes": routes, "next_after": page.next_after})
            if page.unproven:
                pages[-1]["unproven"] = [error.detail().model_dump() for error in page.unproven]
        elif page.statuses or kind:
            columns = ["tenant", "env", "backend", "config", "rev", "health", "use", "locked by"]
            print_rows(each, columns, [_row(status) for status in page.statuses])
            if page.next_after:
                more = f"--kind {each} --after {page.next_after}"
                err().print(f"more: signalbox routes list {more}", soft_wrap=True)
        for error in () if as_json else page.unproven:
            err().print(f"{error.code}: {error}", soft_wrap=True, markup=False)
    if as_json:
        print_json(pages[0] if kind else pages)


@app.command()
def history(
    kind: Kind,
    tenant: Tenant,
    env: EnvName,
    limit: Annotated[int, typer.Option(min=1, help="Number of newest events.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show who changed a route, when, why, from what to what; refused changes too."""
    from signalbox.producers.cli.event_text import print_events

    events = make_registry().history(make_scope(kind, tenant, env), limit=limit)
    if as_json:
        print_json([event.model_dump(mode="json") for event in events])
    else:
        print_events("history", events)


@app.command()
def watch(
    after: Annotated[int | None, typer.Option(help="Start after this revision.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print every change, lock, policy and refusal as it happens, until Ctrl-C.

    With --json one document on a line.
    """
    from signalbox.producers.cli.event_text import print_event

    log = make_registry().log
    cursor = log.head().revision if after is None else after
    if not as_json:
        err().print(f"watching after revision {cursor}; Ctrl-C ends it")
    while True:
        for event in log.events(cursor, limit=100, block_ms=1000):
            cursor = event.revision
            print_event(event, as_json)


@app.command()
def check(
    tenant: Tenant,
    env: EnvName,
    kind: Annotated[
        ResourceKind | None, typer.Argument(help="Kind; left out: every route of tenant and env.")
    ] = None,
    mode: ModeName = Mode.LAB,
    prices: Annotated[Path | None, typer.Option("--prices", help="TOML file of prices.")] = None,
    recount: Annotated[
        bool,
        typer.Option("--recount", help="Count the stored objects again; reads the whole list."),
    ] = False,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Probe a route's backend from a worker; show its use, quota and estimated cost.

    With --json a list of findings; with KIND only that one. Exit code 1 if a backend does not work
    as it should.
    """
    from signalbox.producers.cli.diagnosis import diagnose

    kinds = [kind] if kind else list(ResourceKind)
    scopes = [make_scope(each, tenant, env) for each in kinds]
    if not diagnose(scopes, mode, prices, recount, wait, as_json, must_exist=kind is not None):
        raise typer.Exit(1)


def _row(status: RouteStatus) -> list[Any]:
    route, lock = status.route, status.lock
    its = status.use
    use = f"{its.writes} writes, {its.reads} reads"
    if its.objects is not None:
        use += f"; {its.objects} objects, {its.bytes} bytes"
    return [
        route.scope.tenant_id,
        route.scope.env,
        route.backend_type,
        route.config,
        route.revision,
        its.health,
        use,
        f"{lock.owner} until {lock.until:%H:%M:%S}: {lock.reason}" if lock else "",
    ]
