"""`signalbox audit adopt`: signs existing entries of the registry again."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from signalbox.producers.cli.audit import app
from signalbox.producers.cli.connection import make_registry, who
from signalbox.producers.cli.console import out, print_rows
from signalbox.producers.cli.options import Reason


@app.command()
def adopt(
    reason: Reason,
    signed_by: Annotated[
        str | None,
        typer.Option(
            "--signed-by",
            metavar="PRINCIPAL",
            help="Entries that this principal signed, instead of those without a valid signature.",
        ),
    ] = None,
    tenant: Annotated[str | None, typer.Option("-t", "--tenant", help="Only this tenant.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
) -> None:
    """List routes and policies without a valid signature, and sign them as they are with your key.

    Needed when you begin to sign changes, and before you revoke a principal whose routes are to
    remain. Review each entry: anyone with access to the state Redis may have written it.
    """
    from signalbox.commands.error import SignalboxError
    from signalbox.routing.audit.adoption import adopt as sign
    from signalbox.routing.audit.adoption import candidates

    registry = make_registry()
    verifier = registry.principals.verifier()
    found = [
        each
        for each in candidates(registry, verifier, signed_by)
        if tenant is None or tenant in each.record.subject.split("/")
    ]
    if not found:
        out().print("there is nothing to sign anew")
        return
    rows = [
        [each.record.subject, json.dumps(each.content, sort_keys=True), each.why] for each in found
    ]
    print_rows("to be signed", ["subject", "content", "why"], rows)
    if not yes:
        typer.confirm(f"Sign these {len(found)} as they are?", abort=True)
    refused: SignalboxError | None = None
    for each in found:
        try:
            sign(registry, each, who(reason))
        except SignalboxError as error:
            out().print(f"{each.record.subject}: {error}", markup=False, soft_wrap=True)
            refused = error
    if refused is not None:
        raise refused
    out().print(f"signed {len(found)}", highlight=False)
