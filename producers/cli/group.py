"""Groups of commands. Help is plain text: importing rich takes longer than all the rest of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperGroup, TyperOption


class PlainOption(TyperOption):
    """Text or a flag, taken as it was given: to convert it, typer would import pydantic."""

    def process_value(self, ctx: Any, value: Any) -> Any:
        return value if self.callback is None else self.callback(ctx, self, value)


def plain(options: Iterable[Any]) -> list[Any]:
    """Make them PlainOptions, in place: typer makes them itself, and asks nobody of which class."""
    changed = list(options)
    for option in changed:
        option.__class__ = PlainOption
    return changed


def with_plain_flags(command: Any, ctx: Any) -> Any:
    """The command, with its flags and `--help` plain."""
    plain(each for each in command.get_params(ctx) if getattr(each, "is_flag", False))
    return command


class Group(TyperGroup):
    """Lists its commands with the whole first line of each one's help; its options are plain."""

    def get_params(self, ctx: Any) -> Any:
        return plain(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        return command and with_plain_flags(command, ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        listed = [(n, each.get_short_help_str(1000)) for n, each in commands.items() if each]
        with formatter.section("Commands"):
            formatter.write_dl(listed)


def new_app(*, help: str | None = None, cls: type[Group] = Group, **settings: Any) -> typer.Typer:  # noqa: A002 - typer's own name
    """An app whose errors and help are plain text."""
    return typer.Typer(help=help, cls=cls, rich_markup_mode=None, **settings)
