"""`signalbox key`: keys to sign with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from signalbox.commands.error import InvalidSetting
from signalbox.producers.cli.console import err, print_json
from signalbox.producers.cli.group import new_app

app = new_app(add_completion=False, help="Keys to sign with.", no_args_is_help=True)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="New file for the private key.")],
) -> None:
    """Make a key: write the private part to a file of yours alone, and print the public part."""
    from signalbox.commands.proof.keys import PrivateKey

    key = PrivateKey.new()
    key.save(file)
    print_json(key.public.jwk() | {"kid": key.kid})
    err().print(f"the private key is in {file}: keep it there, and give away what stands above")


@app.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(help="File of the private key, if not SIGNALBOX_KEY_FILE.")
    ] = None,
    trust: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="As a trust file with this administrator alone."),
    ] = None,
) -> None:
    """Print the public part of a key."""
    from signalbox.commands.proof.keys import load_private
    from signalbox.commands.proof.principal import check_name
    from signalbox.commands.proof.trust import administrator
    from signalbox.producers.cli.selection import settings

    path = file or settings().key_file
    if path is None:
        raise InvalidSetting(
            "SIGNALBOX_KEY_FILE: it is not set, and no file is named",
            next_step="make a key with `signalbox key new`",
        )
    key = load_private(path).public
    if trust is not None:
        print_json({"keys": [administrator(check_name(trust), key)], "signatures": "off"})
    else:
        print_json(key.jwk() | {"kid": key.kid})
