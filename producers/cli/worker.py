"""`signalbox worker`: runs a worker in this process, with options that suit storage commands."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

import typer

import signalbox
from signalbox.producers.cli.console import out
from signalbox.producers.cli.group import new_app

app = new_app(add_completion=False)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def worker(
    context: typer.Context,
    name: Annotated[
        str, typer.Option("--name", help="Unique name; the host is appended.")
    ] = "worker",
    concurrency: Annotated[int, typer.Option("-c", "--concurrency", min=1)] = 4,
    # Celery's other pools do not keep what is promised here, and need packages of their own.
    pool: Annotated[Literal["threads", "prefork"], typer.Option("-P", "--pool")] = "threads",
) -> None:
    """Run a worker until SIGTERM; further options are passed to Celery's worker."""
    from signalbox.commands.settings import without_password

    settings = signalbox.Settings()
    out().print(
        f"worker {name}: broker {without_password(settings.broker_url)}, "
        f"state {without_password(settings.state_url)}",
        soft_wrap=True,
    )
    sys.stdout.flush()
    # Threads, since storage commands mostly wait, and a batch's objects run side by side within a
    # slot anyway; commands that compute want processes, at 100 MiB each.
    arguments = ["-m", "signalbox.workers", "--loglevel", "WARNING"]
    arguments += ["--pool", pool, "--concurrency", str(concurrency), "--without-mingle"]
    arguments += ["--hostname", name if "@" in name else f"{name}@%h", *context.args]
    # SIGTERM is to mean Celery's soft shutdown, within which what runs may finish.
    environment = os.environ | {"REMAP_SIGTERM": "SIGQUIT"}
    os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606
