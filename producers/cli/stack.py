"""`signalbox up` and `signalbox tour`: all of Signalbox on one machine."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

import signalbox
from signalbox.commands.error import StateUnavailable
from signalbox.producers.cli.connection import make_client
from signalbox.producers.cli.console import err, out
from signalbox.producers.cli.contexts import DEFAULT
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.selection import STACK_DIR, select

TOUR_BUCKET = "signalbox-tour"

Source = Annotated[
    Path | None,
    typer.Option("--src", help="Folder to store.", exists=True, file_okay=False, resolve_path=True),
]


app = new_app(add_completion=False)


@app.command()
def up(
    play: Annotated[bool, typer.Option("--tour", help="Play the tour first.")] = False,
    src: Source = None,
    once: Annotated[bool, typer.Option("--once", help="End after the tour.")] = False,
    data: Annotated[Path, typer.Option("--data", help="Directory of all data.")] = STACK_DIR,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
) -> None:
    """Start Redis, workers, Flower and the gateway here, and keep them running until Ctrl-C."""
    from signalbox.commands.settings import without_password
    from signalbox.producers.embedded.stack import EmbeddedStack

    signal.signal(signal.SIGTERM, _interrupt)
    # A shell that starts it with & has it ignore Ctrl-C; it is to end all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    data = data.resolve()
    given = signalbox.Settings()
    stack = EmbeddedStack(
        data,
        workers=workers,
        gateway=True,
        state_url=given.state_url if "state_url" in given.model_fields_set else None,
        broker_url=given.broker_url if "broker_url" in given.model_fields_set else None,
    )
    _check_given(given)
    equal = True
    with stack:
        os.environ.update(stack.environment)
        for name, address in stack.addresses.items():
            by = f" ({stack.servers[name]})" if name in stack.servers else ""
            if address in stack.given:
                by = " (given, not started here)"
            line = f"{name:8} {without_password(address)}{by}"
            out().print(line, soft_wrap=True, highlight=False)
        if play or once:
            equal = _play(signalbox.Client(), data, src, stack.addresses["gateway"])
        if not once:
            out().print(_how_to_reach(data))
            for name, value in stack.environment.items():
                if name.startswith("SIGNALBOX_"):
                    out().print(
                        f"  export {name}={shlex.quote(value)}", soft_wrap=True, highlight=False
                    )
            out().print("Ctrl-C stops all of it.")
            try:
                stack.wait(lambda text: err().print(text, soft_wrap=True))
            except KeyboardInterrupt:
                err().print("stopping")
    if not equal:
        raise typer.Exit(1)


def _how_to_reach(data: Path) -> str:
    """Print how `signalbox` in another terminal uses this stack; the variables follow."""
    selected = select()
    if data == STACK_DIR.resolve() and selected.context == DEFAULT:
        return "\nup; `signalbox` finds it in this folder. Elsewhere, and for programs of yours:"
    return "\nup; another terminal can now use `signalbox` with:"


def _check_given(given: signalbox.Settings) -> None:
    """Check a given state Redis. Raises StateUnavailable if it does not answer."""
    from signalbox.commands.state import connect_to

    if "state_url" not in given.model_fields_set:
        return
    try:
        connect_to(given).ping()
    except StateUnavailable as error:
        raise StateUnavailable(
            error.message,
            next_step="SIGNALBOX_STATE_URL names it: start it, or unset SIGNALBOX_STATE_URL and "
            "SIGNALBOX_BROKER_URL, and a Redis is started here",
        ) from error


@app.command()
def tour(
    src: Source = None,
    data: Annotated[Path, typer.Option("--data", help="Directory of the tour's data.")] = STACK_DIR,
    gateway: Annotated[
        str | None, typer.Option(help="Address of a gateway, to store by curl as well.")
    ] = None,
) -> None:
    """Play the tour on a running stack: the one of this folder, or the named one."""
    if not _play(make_client(), data.resolve(), src, gateway):
        raise typer.Exit(1)


def _play(client: signalbox.Client, data: Path, src: Path | None, gateway: str | None) -> bool:
    from signalbox.producers.bulk.tour import Tour
    from signalbox.producers.embedded.s3_stand_in import S3StandIn

    with S3StandIn(data) as stand_in, client:
        stand_in.create_bucket(TOUR_BUCKET)
        out().print(f"S3       {stand_in.endpoint_url} (a local stand-in: moto)", highlight=False)
        source = src or Path.cwd()
        return Tour(
            client,
            out(),
            source,
            own_tree=src is None,
            base_dir=data / "objects",
            s3_config={
                "bucket": TOUR_BUCKET,
                "region": "us-east-1",
                "endpoint_url": stand_in.endpoint_url,
                "addressing_style": "path",
                "credentials_file": str(stand_in.credentials_file),
            },
            gateway=gateway,
        ).play()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
