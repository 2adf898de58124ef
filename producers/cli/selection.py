"""Selects the servers, tenant and env of a command, and knows where each value comes from.

An option has precedence over an environment variable, that over the context in use, and that over
the stack that runs in the current folder. If one of the last two is used, standard error says so,
once. None of this selects a backend: a context names servers and a tenant, and routes do the rest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

import signalbox
from signalbox.commands.error import InvalidSetting, reason_of
from signalbox.commands.vocabulary import Mode
from signalbox.producers.cli.console import err, print_json
from signalbox.producers.cli.context_address import with_password
from signalbox.producers.cli.contexts import Context, Contexts, load_contexts
from signalbox.producers.cli.invocation import invocation

STACK_DIR = Path(".signalbox")
"""Default directory for the data of `signalbox up`."""
SERVERS = ("state_url", "broker_url", "payload_dir")
"""The settings that a context, or a stack that runs here, can provide."""
VARIABLE = "SIGNALBOX_CONTEXT"
BY_DEFAULT, BY_OPTION, BY_USE = "default", "--context", "signalbox context use"


@dataclass(frozen=True)
class Chosen:
    """A value in a form that may be shown, and where it comes from."""

    value: str | None
    origin: str


@dataclass(frozen=True)
class Selection:
    """The values that a command without options uses."""

    context: str
    """Name of the context in use."""
    chosen_by: str
    """What selected it: `--context`, `SIGNALBOX_CONTEXT` or `signalbox context use`."""
    values: dict[str, Chosen]
    """The values by name of the field: `state_url`, `tenant` and so on."""
    settings: signalbox.Settings
    """The settings, with the selected servers."""


def select(name: str | None = None, chosen_by: str = BY_USE) -> Selection:
    """Return the selection with this context, or else with the one in use.

    Raises NotFound (no such context), InvalidSetting and LocalFileError.
    """
    from pydantic import ValidationError

    contexts = load_contexts()
    chosen, chosen_by = _choose(contexts, name, chosen_by)
    context = contexts.find(chosen)
    values, overrides = _servers(chosen, context, signalbox.Settings(), wins=chosen_by == BY_OPTION)
    for option, default in (("tenant", None), ("env", None), ("mode", Mode.LAB.value)):
        its = getattr(context, option)
        values[option] = Chosen(its or default, f"context {chosen}" if its else BY_DEFAULT)
    try:
        # What is left out of these it takes from the environment.
        settings = signalbox.Settings.model_validate(overrides)
    except ValidationError as error:
        reason = reason_of(error.errors(include_url=False)[0])
        raise InvalidSetting(
            f"context {chosen}: {reason}",
            next_step=f"change it with `signalbox context set {chosen}`",
        ) from None
    return Selection(chosen, chosen_by, values, settings)


def chosen_context(contexts: Contexts) -> str:
    """Return the name of the context that the running command uses. Raises NotFound."""
    chosen, _ = _choose(contexts, invocation().context)
    contexts.find(chosen)
    return chosen


def selection() -> Selection:
    """Return the selection of the running command, which is made once."""
    its = invocation()
    if its.selection is None:
        its.selection = select(its.context, BY_OPTION if its.context else BY_USE)
    return its.selection


def settings() -> signalbox.Settings:
    """Return the settings of the running command. If no option and no variable names the servers,
    standard error says where they come from."""
    selected, its = selection(), invocation()
    if not its.said:
        its.said = True
        _say(selected, its.taken)
    return selected.settings


def state_address() -> str:
    """Return the address of the state Redis in a form that may be shown."""
    from signalbox.commands.settings import without_password

    return without_password(selection().settings.state_url)


def from_context(option: str, name: str) -> Callable[[], str]:
    """Return the context's value as an option's default. Raises a usage error if it has none."""

    def find() -> str:
        value = selection().values[option].value
        if value is None:
            raise typer.BadParameter(
                f"it was not given, and the context in use has none: "
                f"signalbox context set NAME {name} …, then context use NAME"
            )
        invocation().taken.append(option)
        return value

    return find


def mode_or_context(context: typer.Context, given: Mode) -> Mode:
    """Return the given mode, or else the context's."""
    source = context.get_parameter_source("mode")
    if context.resilient_parsing or source is None or source.name != "DEFAULT":
        return given
    mode = Mode(selection().values["mode"].value or given)
    if mode is not given:
        invocation().taken.append("mode")
    return mode


def _choose(contexts: Contexts, name: str | None, chosen_by: str = BY_USE) -> tuple[str, str]:
    """Return the name of a context, and what selected it."""
    if name is not None:
        return name, chosen_by
    if named := os.environ.get(VARIABLE, ""):
        return named, VARIABLE
    return contexts.current, chosen_by


def _servers(
    name: str, context: Context, given: signalbox.Settings, *, wins: bool
) -> tuple[dict[str, Chosen], dict[str, str]]:
    """Return all servers, and the settings that do not come from a variable. With `wins`, the
    context has precedence over variables."""
    from signalbox.commands.settings import without_password
    from signalbox.producers.embedded.running_stack import find_running_stack

    theirs, origin = _named_by(context), f"context {name}"
    if not theirs and not given.model_fields_set.intersection(SERVERS):
        found = find_running_stack(STACK_DIR) or {}
        theirs = {f: found[v] for f in SERVERS if (v := f"SIGNALBOX_{f.upper()}") in found}
        origin = f"the stack in {STACK_DIR}"
    values: dict[str, Chosen] = {}
    overrides: dict[str, str] = {}
    for server in SERVERS:
        is_set = server in given.model_fields_set
        if server in theirs and (wins or not is_set):
            overrides[server] = theirs[server]
            values[server] = Chosen(without_password(theirs[server]), origin)
            continue
        its = getattr(given, server)
        shown = None if its is None else without_password(str(its))
        values[server] = Chosen(shown, f"SIGNALBOX_{server.upper()}" if is_set else BY_DEFAULT)
    return values, overrides


def _named_by(context: Context) -> dict[str, str]:
    """Return the context's servers, with their passwords."""
    its = {
        "state_url": with_password(context.state_url, context.state_password_file),
        "broker_url": with_password(context.broker_url, context.broker_password_file),
        "payload_dir": context.payload_dir,
    }
    return {name: value for name, value in its.items() if value is not None}


def _say(selected: Selection, taken: list[str]) -> None:
    """Print the values in use that neither the command nor its environment names."""
    servers = {name: selected.values[f"{name}_url"] for name in ("state", "broker")}
    unnamed = {n: each for n, each in servers.items() if not each.origin.startswith("SIGNALBOX_")}
    if selected.chosen_by == BY_OPTION or not (unnamed or taken):
        return
    origins = [each.origin for each in unnamed.values() if each.origin != BY_DEFAULT]
    what = f"context {selected.context}" if taken else next(iter(origins), None)
    its = {name: selected.values[name].value for name in taken}
    its |= {name: each.value for name, each in (servers if what else unnamed).items()}
    if its.get("broker") == its.get("state"):
        del its["broker"]
    if "--json" not in sys.argv:
        text = ", ".join(f"{name} {value}" for name, value in its.items())
        whose = "a server" if len(unnamed) > 1 else f"the {next(iter(unnamed), 'server')}"
        why = f"using {what}" if what else f"no variable, context or running stack names {whose}"
        text += "" if what else " (`signalbox up` starts a stack here)"
        err().print(f"{why}: {text}", style="dim", markup=False, highlight=False, soft_wrap=True)
    elif what:
        print_json({"using": {"source": what} | its}, to_error=True)
