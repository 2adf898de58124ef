"""`signalbox routes drain`: waits until commands that were claimed before a switch have ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from signalbox.commands.error import OutcomePending
from signalbox.producers.cli.connection import make_registry, make_scope
from signalbox.producers.cli.console import out, print_json
from signalbox.producers.cli.options import AsJson, EnvName, Kind, Tenant
from signalbox.producers.cli.routes import app
from signalbox.producers.cli.selection import settings

WaitDrain = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait.")]


@app.command()
def drain(
    kind: Kind, tenant: Tenant, env: EnvName, wait: WaitDrain = 600, as_json: AsJson = False
) -> None:
    """Wait until no command that is claimed now can still run on a former route.

    Run it after a switch: once it is done, nothing is written to the former backend any more.
    """
    from signalbox.commands.ledger.lease import LATE_MS, Leases
    from signalbox.commands.state import connect_to
    from signalbox.routing.route import no_route

    scope = make_scope(kind, tenant, env)
    first, left = 0, []
    for left in Leases(connect_to(settings()), scope).drained(timedelta(seconds=wait)):
        first = max(first, len(left))
    if left:
        last = datetime.fromtimestamp((max(each.until for each in left) + LATE_MS) / 1000, UTC)
        raise OutcomePending(
            f"{len(left)} commands that were claimed before may still run on a former route",
            kind=scope.kind,
            tenant_id=scope.tenant_id,
            env=scope.env,
            next_step=f"copy nothing yet and ask again; it is over by {last:%H:%M:%S} UTC",
        )
    registry = make_registry()
    if first == 0 and registry.get(scope) is None and not registry.history(scope, 1):
        raise no_route(scope)  # a misspelled env is not to pass for a drained one
    if as_json:
        print_json({"drained": scope.field, "waited_for": first})
    else:
        out().print(f"{scope}: nothing runs on a former route any more ({first} waited for)")
