"""Groups of commands. Help is plain text: importing rich takes longer than all the rest of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption


def _as_given(self: Any, ctx: Any, value: Any) -> Any:
    # To convert it, typer would import pydantic.
    return value if self.callback is None else self.callback(ctx, self, value)


class PlainOption(TyperOption):
    """A flag or text, which is used as it was given."""

    process_value = _as_given


class PlainArgument(TyperArgument):
    """Text that may be left out, and is used as it was given."""

    process_value = _as_given


def _in_own_words(self: Any, ctx: Any, value: Any) -> Any:
    try:
        return super(type(self), self).process_value(ctx, value)
    except typer.BadParameter as error:
        # typer prints what pydantic says of an exception, and ends the sentence again.
        error.message = error.message.removeprefix("Value error, ").removesuffix(".")
        raise


class CheckedOption(TyperOption):
    """An option of any other type, whose errors do not name pydantic."""

    process_value = _in_own_words


class CheckedArgument(TyperArgument):
    """An argument of any other type, whose errors do not name pydantic."""

    process_value = _in_own_words


def plain(parameters: Iterable[Any]) -> list[Any]:
    """Make them plain, in place: typer creates them itself, and offers no choice of their class."""
    changed = list(parameters)
    for each in changed:
        each.__class__ = PlainArgument if isinstance(each, TyperArgument) else PlainOption
    return changed


def with_plain_parameters(command: Any, ctx: Any) -> Any:
    """Return the command, with its flags and optional texts plain, and the others checked."""
    for each in command.get_params(ctx):
        if _can_be_plain(each):
            plain([each])
        elif type(each) in (TyperOption, TyperArgument):
            each.__class__ = CheckedArgument if isinstance(each, TyperArgument) else CheckedOption
    return command


def _can_be_plain(parameter: Any) -> bool:
    if getattr(parameter, "is_flag", False):
        return True
    if parameter.required or parameter.nargs != 1 or getattr(parameter, "multiple", False):
        return False
    descriptor = getattr(parameter, "type_descriptor", None)
    return descriptor is not None and descriptor.annotation is str


class Group(TyperGroup):
    """Lists its commands with the whole first line of each one's help; its options are plain."""

    def get_params(self, ctx: Any) -> Any:
        return plain(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        return command and with_plain_parameters(command, ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        listed = [(n, each.get_short_help_str(1000)) for n, each in commands.items() if each]
        with formatter.section("Commands"):
            formatter.write_dl(listed)


def new_app(*, help: str | None = None, cls: type[Group] = Group, **settings: Any) -> typer.Typer:  # noqa: A002 - typer's own name
    """An app whose errors and help are plain text."""
    return typer.Typer(help=help, cls=cls, rich_markup_mode=None, **settings)
