"""`signalbox gateway`: runs the gateway in this process."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from signalbox.producers.cli.group import new_app

app = new_app(add_completion=False)


@app.command()
def gateway(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option("-p", "--port", min=0, max=65535, help="0: any free one.")
    ] = None,
) -> None:
    """Serve HTTP on 127.0.0.1:8010 until SIGTERM; settings are SIGNALBOX_GATEWAY_*."""
    given = {"SIGNALBOX_GATEWAY_HOST": host, "SIGNALBOX_GATEWAY_PORT": port}
    said = {name: str(value) for name, value in given.items() if value is not None}
    # Another program: the command line is beneath the gateway, and knows nothing of its libraries.
    os.execve(sys.executable, [sys.executable, "-m", "signalbox.gateway"], os.environ | said)  # noqa: S606
