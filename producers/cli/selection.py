"""Which servers, tenant and env a command uses, and where each of them comes from.

An option wins over an environment variable, that over the context in use, and that over the stack
that runs in the present folder. Whichever of the last two is used is said on standard error, once.
None of this selects a backend: a context names servers and a tenant, and routes do the rest.
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
"""Where `signalbox up` keeps its data unless it is told otherwise."""
SERVERS = ("state_url", "broker_url", "payload_dir")
"""The settings that a context, or a stack that runs here, stands in for."""
VARIABLE = "SIGNALBOX_CONTEXT"
BY_DEFAULT, BY_OPTION, BY_USE = "default", "--context", "signalbox context use"


@dataclass(frozen=True)
class Chosen:
    """A value as it may be shown, and where it comes from."""

    value: str | None
    origin: str


@dataclass(frozen=True)
class Selection:
    """What a command without options uses."""

    context: str
    """Name of the context in use."""
    chosen_by: str
    """What chose it: `--context`, `SIGNALBOX_CONTEXT` or `signalbox context use`."""
    values: dict[str, Chosen]
    """By the name of the field: `state_url`, `tenant` and so on."""
    settings: signalbox.Settings
    """With the servers that were selected."""


def select(name: str | None = None, chosen_by: str = BY_USE) -> Selection:
    """What this context comes to, or else the one in use.

    Raises NotFound (no such context), InvalidSetting, LocalFileError.
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
    """Name of the context that the running command uses. Raises NotFound."""
    chosen, _ = _choose(contexts, invocation().context)
    contexts.find(chosen)
    return chosen


def selection() -> Selection:
    """What the running command uses, found once."""
    its = invocation()
    if its.selection is None:
        its.selection = select(its.context, BY_OPTION if its.context else BY_USE)
    return its.selection


def settings() -> signalbox.Settings:
    """The settings of the running command. Says on standard error whose servers they name, if no
    option and no variable does."""
    selected, its = selection(), invocation()
    if not its.said:
        its.said = True
        _say(selected, its.taken)
    return selected.settings


def state_address() -> str:
    """Where the routes are that a command changes, as it may be shown."""
    from signalbox.commands.settings import without_password

    return without_password(selection().settings.state_url)


def from_context(option: str, name: str) -> Callable[[], str]:
    """The default of an option: the context's. Raises a usage error if it has none."""

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
    """The mode that was given, or else the context's."""
    source = context.get_parameter_source("mode")
    if context.resilient_parsing or source is None or source.name != "DEFAULT":
        return given
    mode = Mode(selection().values["mode"].value or given)
    if mode is not given:
        invocation().taken.append("mode")
    return mode


def _choose(contexts: Contexts, name: str | None, chosen_by: str = BY_USE) -> tuple[str, str]:
    """The name of a context, and what chose it."""
    if name is not None:
        return name, chosen_by
    if named := os.environ.get(VARIABLE, ""):
        return named, VARIABLE
    return contexts.current, chosen_by


def _servers(
    name: str, context: Context, given: signalbox.Settings, *, wins: bool
) -> tuple[dict[str, Chosen], dict[str, str]]:
    """All servers, and those settings that do not come from a variable; `wins`: the context does
    over variables."""
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
    """The context's servers, with their passwords."""
    its = {
        "state_url": with_password(context.state_url, context.state_password_file),
        "broker_url": with_password(context.broker_url, context.broker_password_file),
        "payload_dir": context.payload_dir,
    }
    return {name: value for name, value in its.items() if value is not None}


def _say(selected: Selection, taken: list[str]) -> None:
    """Name what was used without being named in the command or its environment."""
    servers = {name: selected.values[f"{name}_url"] for name in ("state", "broker")}
    unnamed = [each for each in servers.values() if not each.origin.startswith("SIGNALBOX_")]
    if selected.chosen_by == BY_OPTION or not (unnamed or taken):
        return
    its = {name: selected.values[name].value for name in taken}
    its |= {name: each.value for name, each in servers.items()}
    if its["broker"] == its["state"]:
        del its["broker"]
    origins = [each.origin for each in unnamed if each.origin != BY_DEFAULT]
    what = f"context {selected.context}" if taken else next(iter(origins), None)
    if "--json" not in sys.argv:
        text = ", ".join(f"{name} {value}" for name, value in its.items())
        why = f"using {what}" if what else "no variable, context or running stack names a server"
        err().print(f"{why}: {text}", style="dim", markup=False, highlight=False, soft_wrap=True)
    elif what:
        print_json({"using": {"source": what} | its}, to_error=True)
