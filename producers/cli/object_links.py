"""`signalbox object`: presigned URLs and addresses, for access to the backend without Signalbox."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

import signalbox
from signalbox.commands.vocabulary import DEFAULT_CONTENT_TYPE, Mode
from signalbox.producers.cli.connection import make_tenancy, named
from signalbox.producers.cli.objects import Key, Meta, app
from signalbox.producers.cli.options import AsJson, EnvName, ModeName, Tenant, Wait, pairs
from signalbox.producers.cli.outcome_text import run_and_show


@app.command("presign-post")
def presign_post(
    tenant: Tenant,
    env: EnvName,
    key: Key,
    content_type: Annotated[str, typer.Option("--content-type")] = DEFAULT_CONTENT_TYPE,
    max_bytes: Annotated[int, typer.Option(help="Largest upload.")] = 100 * 1024 * 1024,
    min_bytes: Annotated[int, typer.Option(help="Smallest upload.")] = 0,
    expires: Annotated[int, typer.Option(help="Seconds until the form expires.")] = 900,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Print a form with which a browser uploads directly to the backend."""
    command = signalbox.PresignPost(
        **named(make_tenancy(tenant, env, mode)),
        key=key,
        content_type=content_type,
        max_bytes=max_bytes,
        min_bytes=min_bytes,
        expires=timedelta(seconds=expires),
    )
    run_and_show(command, wait, as_json)


@app.command("presign-put")
def presign_put(
    tenant: Tenant,
    env: EnvName,
    key: Key,
    content_type: Annotated[str, typer.Option("--content-type")] = DEFAULT_CONTENT_TYPE,
    expires: Annotated[int, typer.Option(help="Seconds until the URL expires.")] = 900,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Print a URL to which the content can be uploaded with one PUT until it expires."""
    command = signalbox.PresignPut(
        **named(make_tenancy(tenant, env, mode)),
        key=key,
        content_type=content_type,
        expires=timedelta(seconds=expires),
    )
    run_and_show(command, wait, as_json)


@app.command("presign-get")
def presign_get(
    tenant: Tenant,
    env: EnvName,
    key: Key,
    expires: Annotated[int, typer.Option(help="Seconds until the URL expires.")] = 900,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Print a URL from which the object can be read until it expires."""
    tenancy = make_tenancy(tenant, env, mode)
    run_and_show(
        signalbox.PresignGet(**named(tenancy), key=key, expires=timedelta(seconds=expires)),
        wait,
        as_json,
    )


@app.command()
def uri(
    tenant: Tenant,
    env: EnvName,
    key: Key,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Print the backend's own address of an object."""
    run_and_show(
        signalbox.ObjectUri(**named(make_tenancy(tenant, env, mode)), key=key), wait, as_json
    )


@app.command()
def register(
    tenant: Tenant,
    env: EnvName,
    key: Key,
    size: Annotated[int | None, typer.Option(min=0, help="Expected size in bytes.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Expected digest.")] = None,
    meta: Meta = None,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """After a presigned upload: check the object and keep an asset record of it."""
    command = signalbox.RegisterObject(
        **named(make_tenancy(tenant, env, mode)),
        key=key,
        size_bytes=size,
        sha256=sha256,
        metadata=pairs(meta),
    )
    run_and_show(command, wait, as_json)
