"""`signalbox context`: named servers, tenant and env, used by commands that name none."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from signalbox.commands.error import Conflict
from signalbox.producers.cli.console import err, out, print_json, print_pairs, print_rows
from signalbox.producers.cli.context_address import check_context
from signalbox.producers.cli.contexts import (
    DEFAULT,
    Context,
    changed_contexts,
    check_name,
    complete_context,
    load_contexts,
)
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.options import AsJson
from signalbox.producers.cli.selection import SERVERS, VARIABLE, chosen_context, select, selection

HELP = "Servers, tenant and env of commands that name none."

app = new_app(add_completion=False, help=HELP, no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the context.", autocompletion=complete_context)]


@app.command()
def use(name: Name, as_json: AsJson = False) -> None:
    """Use a context from now on, in every shell; `default` ends that."""
    with changed_contexts() as contexts:
        contexts.find(name)
        contexts.current = name
    over = [v for field in SERVERS if (v := f"SIGNALBOX_{field.upper()}") in os.environ]
    over = [VARIABLE] if VARIABLE in os.environ else over
    if over and not as_json:
        err().print(f"set here, so that it wins over the context: {', '.join(over)}")
    _show(name, as_json)


@app.command("set")
def set_(
    name: Name,
    state_url: Annotated[
        str | None, typer.Option("--state-url", help="Address of the state Redis.")
    ] = None,
    state_password_file: Annotated[
        str | None, typer.Option("--state-password-file", help="File with its password.")
    ] = None,
    broker_url: Annotated[
        str | None, typer.Option("--broker-url", help="Address of the broker.")
    ] = None,
    broker_password_file: Annotated[
        str | None, typer.Option("--broker-password-file", help="File with its password.")
    ] = None,
    payload_dir: Annotated[
        str | None, typer.Option("--payload-dir", help="Directory for large content.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("-t", "--tenant", help="Tenant of commands without -t.")
    ] = None,
    env: Annotated[
        str | None, typer.Option("-e", "--env", help="Environment of commands without -e.")
    ] = None,
    mode: Annotated[
        str | None, typer.Option("-m", "--mode", help="Mode of commands without -m.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a context, or change the given values of one; an empty value removes it."""
    paths = {
        "state_password_file": state_password_file,
        "broker_password_file": broker_password_file,
        "payload_dir": payload_dir,
    }
    given: dict[str, str | None] = {
        "state_url": state_url,
        "broker_url": broker_url,
        "tenant": tenant,
        "env": env,
        "mode": mode,
        # A context is used from any folder.
        **{field: path and str(Path(path).absolute()) for field, path in paths.items()},
    }
    changes: dict[str, Any] = {f: value or None for f, value in given.items() if value is not None}
    check_name(name)
    with changed_contexts() as contexts:
        is_new = name not in contexts.by_name
        context = replace(contexts.by_name.get(name, Context()), **changes)
        check_context(context)
        contexts.by_name[name] = context
        in_use = contexts.current == name
    if as_json:
        print_json({"name": name, "in_use": in_use} | context.document())
        return
    print_pairs({"context": name} | context.document())
    if is_new and not in_use:
        err().print(f"use it with: signalbox context use {name}", highlight=False)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all contexts, and which one is in use."""
    contexts = load_contexts()
    chosen = chosen_context(contexts)
    known = {DEFAULT: Context()} | dict(sorted(contexts.by_name.items()))
    if as_json:
        print_json(
            [
                {"name": name, "in_use": name == chosen} | context.document()
                for name, context in known.items()
            ]
        )
        return
    rows = [
        ["*" if name == chosen else "", name, each.state_url, each.tenant, each.env]
        for name, each in known.items()
    ]
    print_rows("contexts", ["", "name", "state", "tenant", "env"], rows)


@app.command()
def show(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Name of a context; left out: the one in use.", autocompletion=complete_context
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a command would use here, and where each value comes from."""
    _show(name, as_json)


@app.command()
def delete(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Also the one in use.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a context."""
    with changed_contexts() as contexts:
        contexts.find(name)
        check_name(name)
        if contexts.current == name and not force:
            raise Conflict(
                f"the context {name} is in use",
                next_step=f"use another (signalbox context use {DEFAULT}), or say --force",
            )
        if contexts.current == name:
            contexts.current = DEFAULT
        del contexts.by_name[name]
    print_json({"deleted": name}) if as_json else out().print(f"no context {name} any more")


def _show(name: str | None, as_json: bool) -> None:
    selected = selection() if name is None else select(name)
    if as_json:
        values = {
            field: {"value": each.value, "from": each.origin}
            for field, each in selected.values.items()
        }
        print_json({"context": selected.context, "chosen_by": selected.chosen_by, **values})
        return
    rows = [[field, each.value, each.origin] for field, each in selected.values.items()]
    print_rows(f"context {selected.context}", ["", "value", "from"], rows)
