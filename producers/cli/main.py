"""The `signalbox` command line.

Exit codes: 0 done, 1 refused or failed (with the error's code on standard error), 2 usage.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command

from signalbox.producers.cli.group import Group, new_app, with_plain_parameters

COMMANDS = {
    "context": ("Servers, tenant and env of commands that name none.", "context"),
    "routes": ("Set, switch and explain routes.", "routes", "route_view", "drain"),
    "policy": ("What a tenant may do, where, and how much.", "policy"),
    "audit": ("Who changed what, and whether the record is complete.", "audit", "adopt"),
    "key": ("Keys to sign with.", "key"),
    "principal": ("Who may sign what.", "principal"),
    "token": ("Tokens for calls of the gateway.", "token"),
    "dead": ("Dead letters: look, replay, purge.", "dead"),
    "object": (
        "Put, get, list and remove objects.",
        "objects",
        "object_folders",
        "object_sync",
        "object_links",
    ),
    "table": ("Store, read and query rows of tables, and list tables.", "tables"),
    "metrics": ("Ingest points of metrics, query them, and list series.", "metrics"),
    "events": ("Append to event streams, read, follow and list them.", "events"),
    "outcome": (
        "Show the outcome of a command; without -t and -e, all tenants are searched.",
        "inspection",
    ),
    "status": (
        "Show queues, workers, and how many commands are open, running, held, overdue or dead.",
        "inspection",
    ),
    "schema": ("Print the JSON Schema of one command, or of all.", "inspection"),
    "backends": (
        "Show which backend supports which kind; a dash is refused with BACKEND_NOT_IMPLEMENTED.",
        "inspection",
    ),
    "acl": ("Print the ACL for a Redis: one user for each role.", "acl"),
    "worker": (
        "Run a worker until SIGTERM; further options are passed to Celery's worker.",
        "worker",
    ),
    "gateway": (
        "Serve HTTP on 127.0.0.1:8010 until SIGTERM; settings are SIGNALBOX_GATEWAY_*.",
        "gateway",
    ),
    "up": (
        "Start Redis, workers, Flower and the gateway here, and keep them running until Ctrl-C.",
        "stack",
    ),
    "tour": (
        "Play the tour on a running stack: the one of this folder, or the named one.",
        "stack",
    ),
}
"""Help and modules of each command. Modules are imported when it is called; the first has the
`app`."""


class LateGroup(Group):
    """A group that knows its commands by name and help line, and imports only the one that is
    called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, named, rest = super().resolve_command(ctx, args)
        return name, named if name is None else with_plain_parameters(command_of(name), ctx), rest


def command_of(name: str) -> Any:
    """Return the click command of this name."""
    _, *modules = COMMANDS[name]
    first, *_ = [import_module(f"signalbox.producers.cli.{module}") for module in modules]
    found: Any = get_command(first.app)
    return getattr(found, "commands", {}).get(name, found)


app = new_app(
    cls=LateGroup,
    help="Routes storage commands of many tenants to the backend that each route names.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"signalbox {version('signalbox')}")
        raise typer.Exit


def _complete_context(incomplete: str) -> list[str]:
    from signalbox.producers.cli.contexts import complete_context

    return complete_context(incomplete)


@app.callback()
def _options(
    context: Annotated[
        str | None,
        typer.Option(
            "--context",
            metavar="NAME",
            help="Context to use, in place of variables and of the one in use.",
            autocompletion=_complete_context,
        ),
    ] = None,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of the program itself."""
    from signalbox.producers.cli.invocation import begin

    begin(context)


for _name, (_help, *_) in COMMANDS.items():
    app.command(_name, help=_help)(lambda: None)


def main() -> None:
    """Run the command line; typed errors become a message and exit code 1."""
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("interrupted: what was accepted before still takes effect", err=True)
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - raised again there, if it is not ours
        from signalbox.producers.cli.failure import report

        report(error)


if __name__ == "__main__":
    main()
