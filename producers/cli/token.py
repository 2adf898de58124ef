"""`signalbox token`: tokens for calls of the gateway, signed with the caller's own key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from signalbox.commands.error import InvalidSetting
from signalbox.producers.cli.console import err, print_json
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.notation import duration
from signalbox.producers.cli.options import AsJson
from signalbox.producers.cli.selection import settings

app = new_app(add_completion=False, help="Tokens for calls of the gateway.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Tokens for calls of the gateway."""


@app.command()
def issue(
    principal: Annotated[
        str,
        typer.Option(
            help="Principal of the token; default is your own. An administrator may name another."
        ),
    ],
    roles: Annotated[
        list[str],
        typer.Option("--role", help="producer, reader, operator, auditor or admin; repeatable."),
    ],
    tenants: Annotated[
        list[str], typer.Option("--tenant", metavar="GLOB", help="Tenants; repeatable.")
    ],
    envs: Annotated[
        list[str] | None, typer.Option("--env", metavar="GLOB", help="Envs; repeatable. All.")
    ] = None,
    ops: Annotated[
        list[str] | None,
        typer.Option("--op", metavar="GLOB", help="Operations, within the roles; repeatable. All."),
    ] = None,
    lifetime: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="For how long: up to 12h.")
    ] = "15m",
    as_json: AsJson = False,
) -> None:
    """Print a token signed with SIGNALBOX_KEY_FILE, to be sent as `Authorization: Bearer`.

    It allows at most what its principal and the owner of the key may do when it is used.
    """
    from pydantic import ValidationError

    from signalbox.commands.parse import invalid_command
    from signalbox.commands.proof.principal import Grant
    from signalbox.commands.proof.token import issue as issued
    from signalbox.commands.proof.trust import key_of

    key, audience = key_of(settings()), settings().audience
    if key is None or not audience:
        missing = "SIGNALBOX_KEY_FILE" if key is None else "SIGNALBOX_AUDIENCE"
        raise InvalidSetting(
            f"{missing}: a token is signed with a key, for a deployment",
            next_step="set SIGNALBOX_KEY_FILE and SIGNALBOX_AUDIENCE; see `signalbox key new`",
        )
    narrowed = {"roles": roles, "tenants": tenants, "envs": envs or ["*"], "ops": ops or ["*"]}
    try:
        grant = Grant.model_validate(narrowed)
    except ValidationError as error:
        raise invalid_command(error) from None
    token, ends = issued(key, audience, principal, grant, duration(lifetime))
    until = datetime.fromtimestamp(ends, UTC)
    if as_json:
        print_json({"token": token, "expires": until.isoformat()})
        return
    typer.echo(token)
    err().print(f"valid until {until:%Y-%m-%d %H:%M:%S} UTC; who has it acts as {principal}")
