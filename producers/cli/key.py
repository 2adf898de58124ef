"""`signalbox key`: keys to sign with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signalbox.commands.error import InvalidCommand, InvalidSetting, LocalFileError
from signalbox.producers.cli.console import err, print_json
from signalbox.producers.cli.group import new_app

if TYPE_CHECKING:
    from signalbox.routing.registry.author_signature import Prepared

app = new_app(add_completion=False, help="Keys to sign with.", no_args_is_help=True)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="New file for the private key.")],
) -> None:
    """Create a key: write the private part to a file of your own, and print the public part."""
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


@app.command()
def sign(
    file: Annotated[
        Path, typer.Argument(help="File with the gateway's response to X-Signature: prepare, or -.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
) -> None:
    """Show a change that a gateway has prepared, and print your signature of it.

    First it verifies by your trust file that nothing is signed except the change that is shown.
    """
    from signalbox.commands.proof.statement import sign as signed
    from signalbox.commands.proof.trust import trust_of
    from signalbox.producers.cli.selection import settings
    from signalbox.routing.registry.prepared_change import check_prepared
    from signalbox.routing.registry.proof import TYP

    trust = trust_of(settings())
    if trust is None or trust.signer is None:
        missing = "SIGNALBOX_TRUST_FILE" if trust is None else "SIGNALBOX_KEY_FILE"
        raise InvalidSetting(
            f"{missing}: a change is checked by the one file, and signed with the other",
            next_step="set both, and SIGNALBOX_AUDIENCE",
        )
    prepared = _prepared(file)
    check_prepared(prepared, trust)
    event = prepared.event
    shown: dict[str, Any] = {
        "what": event.type.rpartition(".")[2],
        "subject": event.subject,
        "who": event.data.actor,
        "why": event.data.reason,
        "before": event.data.before,
        "after": event.data.after,
        "revision": event.revision,
        "principals of revision": prepared.basis.roster.revision,
    }
    typer.echo(json.dumps(shown, indent=2), err=True)
    if not yes:
        typer.confirm("Sign this change?", abort=True, err=True)
    typer.echo(signed(trust.signer, TYP, prepared.claims))


def _prepared(file: Path) -> Prepared:
    from pydantic import ValidationError

    from signalbox.routing.registry.author_signature import Prepared

    step = "name the answer to a request with X-Signature: prepare, unchanged"
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        document = json.loads(text)
        return Prepared.model_validate_json(json.dumps(document["prepared"]))
    except OSError as error:
        raise LocalFileError(f"{file} cannot be read: {error.strerror}", next_step=step) from None
    except (ValidationError, ValueError, LookupError, TypeError, RecursionError):
        raise InvalidCommand(f"{file} holds no prepared change", next_step=step) from None
