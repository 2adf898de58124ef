"""What all subcommands share: options, the client, and how answers and errors are printed."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

from commands.model import Command, new_op_id
from commands.outcome import Outcome
from commands.scope import Mode, ResourceKind, Scope, check_env, check_tenant
from commands.settings import Settings
from commands.state import connect
from commands.visible import visible, visible_json
from producers.client import Client
from producers.folder import Place
from routing.registry import Registry


class SafeConsole(Console):
    """Keys, reasons and rows come from strangers: no text reaches the terminal as a command."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment  # of rich itself, such as a progress bar's
            else:
                yield segment._replace(text=visible(segment.text, keep="\n\t"))


# Into a pipe or a file nothing is cut to a terminal's width.
out = SafeConsole(width=None if sys.stdout.isatty() else 240)
err = SafeConsole(stderr=True, width=None if sys.stderr.isatty() else 240)

Tenant = Annotated[str, typer.Option("-t", "--tenant", help="Tenant id, such as t_demo.")]
EnvName = Annotated[str, typer.Option("-e", "--env", help="Environment, such as dev.")]
ModeName = Annotated[Mode, typer.Option("-m", "--mode", help="Mode the tenant runs under.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Kind = Annotated[ResourceKind, typer.Argument(help="Kind of resource.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit trail.")]
SUPERSEDED = "Nothing was changed: the effect of a newer command was there already."

Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the outcome.")]


def make_place(tenant: str, env: str, mode: Mode) -> Place:
    """Whose data the command is about; InvalidScope before anything is sent."""
    return Place(check_tenant(tenant), check_env(env), mode)


def make_client() -> Client:
    return Client()


def make_registry() -> Registry:
    return Registry(connect(Settings().state_url))


def make_scope(kind: ResourceKind, tenant: str, env: str) -> Scope:
    """Which route the command is about; InvalidScope before anything is read."""
    return Scope(kind=kind, tenant_id=check_tenant(tenant), env=check_env(env))


def who(reason: str) -> dict[str, Any]:
    """What a change of the registry is recorded with."""
    return {"actor": actor(), "reason": reason, "change_id": new_op_id()}


def named(place: Place, op_id: str | None = None) -> dict[str, Any]:
    """The fields that every command has."""
    return place.fields | ({} if op_id is None else {"op_id": op_id})


def pairs(entries: list[str] | None) -> dict[str, str]:
    """`NAME=VALUE` options as a dictionary."""
    found = {}
    for entry in entries or []:
        name, equals, value = entry.partition("=")
        if not equals:
            raise typer.BadParameter(f"{entry!r} is not NAME=VALUE")
        found[name] = value
    return found


def actor() -> str:
    """Who stands in the audit trail."""
    return getpass.getuser()


def print_json(document: Any, *, to_error: bool = False) -> None:
    text = json.dumps(document, ensure_ascii=False, default=str)
    typer.echo(visible_json(text), err=to_error)


def print_pairs(document: dict[str, Any]) -> None:
    """Names and values, one a line."""
    shown = {n: v for n, v in document.items() if v not in (None, "", {}, [])}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        # Never wrapped: what is printed here is copied elsewhere.
        out.print(f"[bold]{name:{width}}[/bold]  {_plain(value)}", soft_wrap=True, highlight=False)


def print_rows(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_plain(value) for value in row))
    out.print(table)


def show(outcome: Outcome, as_json: bool) -> dict[str, Any]:
    """Print the result of a finished command; RemoteError if it failed."""
    result = outcome.unwrap()
    if as_json:
        print_json(result | {"op_id": outcome.op_id, "backend_type": outcome.backend_type})
        return result
    plain = {name: value for name, value in result.items() if name != "superseded"}
    print_pairs(plain | {"backend": outcome.backend_type, "op_id": outcome.op_id})
    if result.get("superseded"):
        err.print(SUPERSEDED)
    return result


def run_and_show(command: Command, wait: float, as_json: bool) -> None:
    """Run one command and print its result."""
    with make_client() as client:
        show(client.run(command, timedelta(seconds=wait)), as_json)


def _plain(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    # Not even a line of its own: what follows could pass for another answer.
    return escape("" if value is None else visible(text))
