"""`signalbox object`: stores, reads, lists and removes objects, through the queue."""

from __future__ import annotations

import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

import signalbox
from signalbox.commands.vocabulary import DEFAULT_CONTENT_TYPE, Mode
from signalbox.producers.cli.connection import make_client, make_tenancy, named
from signalbox.producers.cli.console import err, print_json, print_rows
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.options import AsJson, EnvName, ModeName, Tenant, Wait, pairs
from signalbox.producers.cli.outcome_text import run_and_show, show

app = new_app(add_completion=False, help="Put, get, list and remove objects.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="Object key, such as docs/a.txt.")]
Meta = Annotated[
    list[str] | None, typer.Option("--meta", metavar="NAME=VALUE", help="Metadata; repeatable.")
]


@app.command()
def put(
    tenant: Tenant,
    env: EnvName,
    target: Annotated[str, typer.Argument(metavar="KEY", help="Object key; with -r: the folder.")],
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|-", help="File, or - for standard input; with -r: keys begin with it."
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="DIR [PREFIX]")] = False,
    mode: ModeName = Mode.LAB,
    content_type: Annotated[str, typer.Option("--content-type")] = DEFAULT_CONTENT_TYPE,
    meta: Meta = None,
    if_absent: Annotated[bool, typer.Option("--if-absent", help="Only create.")] = False,
    if_match: Annotated[str | None, typer.Option(help="Only replace this ETag.")] = None,
    op_id: Annotated[str | None, typer.Option(help="Idempotency key of your own.")] = None,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Store a file or standard input: KEY FILE|-; or a folder: -r DIR [PREFIX]."""
    tenancy = make_tenancy(tenant, env, mode)
    with make_client() as client:
        if recursive:
            if op_id or if_absent or if_match or meta or content_type != DEFAULT_CONTENT_TYPE:
                raise typer.BadParameter("-r stores many objects: options of one do not apply")
            from signalbox.producers.cli.object_folders import put_folder

            put_folder(client, tenancy, Path(target), source or "", as_json)
            return
        if source is None:
            raise typer.BadParameter("name the FILE to store, or - for standard input")
        payload = client.content.payload(sys.stdin.buffer if source == "-" else Path(source))
        command = signalbox.PutObject(
            **named(tenancy, op_id),
            key=target,
            payload=payload,
            content_type=content_type,
            metadata=pairs(meta),
            condition=signalbox.Condition(if_absent=if_absent, if_match=if_match),
        )
        show(client.run_outcome(command, timedelta(seconds=wait)), as_json)


@app.command()
def get(
    tenant: Tenant,
    env: EnvName,
    key: Key,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="With -r: the folder to write to.")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="PREFIX DIR: all objects below it.")
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")] = None,
    byte_range: Annotated[
        str | None, typer.Option("--range", metavar="A-B", help="Bytes from A to B, B included.")
    ] = None,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Read an object to standard output, or to a file with -o; or a folder: -r PREFIX DIR."""
    first, last = _range(byte_range)
    tenancy = make_tenancy(tenant, env, mode)
    if recursive is not (folder is not None):
        raise typer.BadParameter("name the folder to write to: -r PREFIX DIR")
    if recursive and (output or byte_range):
        raise typer.BadParameter("-r reads many objects: options of one do not apply")
    with make_client() as client:
        if folder is not None:
            from signalbox.producers.cli.object_folders import get_folder

            get_folder(client, tenancy, key, folder, as_json)
            return
        command = signalbox.GetObject(**named(tenancy), key=key, first=first, last=last)
        outcome = client.run_outcome(command, timedelta(seconds=wait))
        result = outcome.result_as(signalbox.GetResult)
        try:
            with client.content.open(result) as content:
                if output is not None:
                    with output.open("wb") as sink:
                        shutil.copyfileobj(content, sink)
                elif not as_json:
                    shutil.copyfileobj(content, sys.stdout.buffer)
        finally:
            client.content.discard(result)
    if as_json:
        print_json(
            result.info.model_dump(mode="json")
            | {"first": result.first, "bytes": result.payload.size}
            | {"op_id": outcome.op_id, "backend_type": outcome.backend_type}
        )
    elif output is not None:
        err().print(f"{result.payload.size} bytes to {output}")


@app.command("ls")
def list_(
    tenant: Tenant,
    env: EnvName,
    prefix: Annotated[str, typer.Argument()] = "",
    delimiter: Annotated[str, typer.Option(help="/ folds deeper keys into prefixes.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of keys.")] = 1000,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """List keys in order."""
    tenancy = make_tenancy(tenant, env, mode)
    cursor: str | None = None
    objects: list[dict[str, Any]] = []
    prefixes: list[str] = []
    with make_client() as client:
        while True:
            command = signalbox.ListObjects(
                **named(tenancy),
                prefix=prefix,
                delimiter=delimiter,
                limit=min(1000, limit - len(objects) - len(prefixes)),
                cursor=cursor,
            )
            page = client.run_outcome(command, timedelta(seconds=wait)).unwrap()
            objects += page["objects"]
            prefixes += page["prefixes"]
            cursor = page["next_cursor"]
            if cursor is None or len(objects) + len(prefixes) >= limit:
                break
    if as_json:
        print_json({"objects": objects, "prefixes": prefixes, "next_cursor": cursor})
        return
    rows = [[p, "", ""] for p in prefixes]
    rows += [[o["key"], str(o["size"]), o["modified"]] for o in objects]
    print_rows(f"{tenancy.tenant_id}/{tenancy.env}", ["key", "bytes", "modified"], sorted(rows))
    if cursor is not None:
        err().print(f"more than {limit}; raise --limit")


@app.command()
def stat(
    tenant: Tenant,
    env: EnvName,
    key: Key,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Print size, ETag, content type and metadata of an object."""
    run_and_show(
        signalbox.HeadObject(**named(make_tenancy(tenant, env, mode)), key=key), wait, as_json
    )


@app.command()
def rm(
    tenant: Tenant,
    env: EnvName,
    key: Key,
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="All objects below the prefix KEY.")
    ] = False,
    if_match: Annotated[str | None, typer.Option(help="Only this ETag.")] = None,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Remove an object, or with -r all below a prefix; a missing object is not an error."""
    tenancy = make_tenancy(tenant, env, mode)
    if recursive:
        from signalbox.producers.cli.object_folders import remove_folder

        if if_match or not key:
            raise typer.BadParameter("-r takes a prefix, and no option of one object")
        with make_client() as client:
            remove_folder(client, tenancy, key, as_json)
        return
    run_and_show(
        signalbox.DeleteObject(**named(tenancy), key=key, if_match=if_match), wait, as_json
    )


def _range(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    first, dash, last = text.partition("-")
    if not dash or not first.isdecimal() or (last and not last.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not a range such as 0-99 or 100-")
    return int(first), int(last) if last else None
