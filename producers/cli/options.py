"""Options and arguments that many subcommands have."""

from __future__ import annotations

from typing import Annotated

import typer

from signalbox.commands.vocabulary import Mode, ResourceKind
from signalbox.producers.cli.selection import from_context, mode_or_context

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


def pairs(entries: list[str] | None) -> dict[str, str]:
    """Parse `NAME=VALUE` options into a dictionary."""
    found = {}
    for entry in entries or []:
        name, equals, value = entry.partition("=")
        if not equals:
            raise typer.BadParameter(f"{entry!r} is not NAME=VALUE")
        found[name] = value
    return found
