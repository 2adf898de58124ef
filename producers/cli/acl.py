"""`signalbox acl`: prints the users that a Redis needs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import signalbox
from signalbox.commands.error import InvalidSetting
from signalbox.producers.cli.group import new_app

app = new_app(add_completion=False)


class Server(StrEnum):
    STATE = "state"
    BROKER = "broker"


@app.command()
def acl(
    server: Annotated[Server, typer.Argument(help="Server that the users are for.")],
    passwords: Annotated[
        Path,
        typer.Option(help="File with a line for each: ROLE PASSWORD, or ROLE #SHA256."),
    ],
    as_file: Annotated[
        bool, typer.Option("--file", help="As the server's `aclfile`, with the default user off.")
    ] = False,
    redis_6: Annotated[
        bool, typer.Option("--redis-6", help="For Redis 6.2, which cannot let a key be only read.")
    ] = False,
) -> None:
    """Print the ACL for a Redis: one user for each role."""
    from signalbox.producers.access.acl import ADMIN, read_passwords, roles_on, users

    known = roles_on(server, signalbox.Settings())
    found = users(known, read_passwords(passwords), with_reads=not redis_6)
    if as_file and ADMIN not in found:
        raise InvalidSetting(
            f"{passwords} has no password for {ADMIN}, and the file closes the default user",
            next_step=f"add a line `{ADMIN} PASSWORD`: without it nobody could change the users",
        )
    for name, rules in found.items():
        begin = f"user {name}" if as_file else f"ACL SETUSER {name} reset"
        typer.echo(f"{begin} {' '.join(rules)}")
    if as_file:
        typer.echo("user default off")
