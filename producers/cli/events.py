"""`signalbox events`: event streams through the queue."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

import signalbox
from signalbox.commands.error import Conflict, OutcomePending, SignalboxError
from signalbox.commands.vocabulary import Mode
from signalbox.producers.cli.connection import make_client, make_tenancy, named
from signalbox.producers.cli.console import err, out, print_json
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.name_list import AllowScan, Prefix, print_names
from signalbox.producers.cli.notation import json_object, moment
from signalbox.producers.cli.options import (
    ONE_WAIT,
    AsJson,
    EnvName,
    ModeName,
    OpPrefix,
    Tenant,
    Wait,
    WaitLines,
)
from signalbox.producers.cli.outcome_text import run_and_show
from signalbox.producers.cli.paging import Limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from signalbox.producers.bulk.folder import Tenancy
    from signalbox.producers.bulk.line_input import Line

app = new_app(
    add_completion=False,
    help="Append to event streams, read, follow and list them.",
    no_args_is_help=True,
)

Stream = Annotated[str, typer.Argument(metavar="STREAM", help="Stream name.")]
After = Annotated[int, typer.Option(min=0, help="Version of the last event already read.")]
POLL_SECONDS = 1.0


@app.command("ls")
def list_(
    tenant: Tenant,
    env: EnvName,
    prefix: Prefix = "",
    allow_scan: AllowScan = False,
    limit: Limit = 1000,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """List the names of streams."""
    print_names(
        signalbox.ListStreams,
        "streams",
        tenant,
        env,
        prefix,
        allow_scan,
        limit,
        mode,
        wait,
        as_json,
    )


@app.command()
def append(
    tenant: Tenant,
    env: EnvName,
    stream: Stream,
    type_: Annotated[
        str, typer.Argument(metavar="TYPE|-", help="Event type; - alone: events as JSON lines.")
    ],
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="JSON object; left out: empty.")
    ] = None,
    mode: ModeName = Mode.LAB,
    id_: Annotated[
        str | None, typer.Option("--id", help="Unique in its stream; left out: the op_id.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--time", help="When it happened: 2026-01-31T12:00:00Z.")
    ] = None,
    expect: Annotated[
        int | None, typer.Option(help="Only if the stream ends at this version; 0: empty.")
    ] = None,
    op_id: Annotated[str | None, typer.Option(help="Idempotency key of your own.")] = None,
    op_prefix: OpPrefix = None,
    wait: WaitLines = None,
    as_json: AsJson = False,
) -> None:
    """Append one event: STREAM TYPE [DATA]; or many from standard input: STREAM -.

    Each line is {"type": …, "data": {…}} and may have id and time. Lines are appended in order.
    """
    from signalbox.producers.bulk.ingest import Naming
    from signalbox.producers.cli.lines import lines_of_input, one_each, store_lines

    tenancy = make_tenancy(tenant, env, mode)
    if type_ == "-" and data is None:
        if op_id or id_ or at or expect is not None:
            raise typer.BadParameter("STREAM - appends many: put these fields into each JSON line")
        events = one_each(
            Naming(op_prefix),
            lambda line, name: _event(tenancy, stream, line, name),
            lines_of_input(),
        )
        store_lines(events, wait, as_json)
        return
    if op_prefix:
        raise typer.BadParameter("--op-prefix is for many events; one takes --op-id")
    command = signalbox.AppendEvent(
        **named(tenancy, op_id),
        stream=stream,
        event=signalbox.Event(
            id=id_,
            type=type_,
            time=moment(at) if at else None,
            data=json_object(data) if data is not None else {},
        ),
        expected_version=expect,
    )
    run_and_show(command, ONE_WAIT if wait is None else wait, as_json)


@app.command()
def read(
    tenant: Tenant,
    env: EnvName,
    stream: Stream,
    after: After = 0,
    limit: Limit = 100,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Print events after a version, in order, one on a line."""
    from signalbox.producers.bulk.stream_reader import events_after

    tenancy = make_tenancy(tenant, env, mode)
    found: list[dict[str, Any]] = []
    with make_client() as client:
        for event in events_after(client, tenancy, stream, after, limit, timedelta(seconds=wait)):
            after = event["version"]
            if as_json:
                found.append(event)
            else:
                _print_event(event, as_json=False)
    if as_json:
        print_json({"stream": stream, "events": found, "next_after": after})


@app.command()
def tail(
    tenant: Tenant,
    env: EnvName,
    stream: Stream,
    after: After = 0,
    from_now: Annotated[bool, typer.Option("--from-now", help="Only future events.")] = False,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Print events as they arrive, until Ctrl-C; with --json one document on a line."""
    from signalbox.producers.bulk.stream_reader import end_of

    if from_now and after:
        raise typer.BadParameter("--after and --from-now exclude each other")
    tenancy = make_tenancy(tenant, env, mode)
    timeout = timedelta(seconds=wait)
    with make_client() as client:
        if from_now:
            after = end_of(client, tenancy, stream, timeout)
        last: dict[str, Any] | None = None
        while True:
            try:
                for event in _events_behind(last, after, client, tenancy, stream, timeout):
                    _print_event(event, as_json)
                    last, after = event, event["version"]
            except SignalboxError as error:
                # What passes by itself does not end the following.
                if not (error.temporary or isinstance(error, OutcomePending)):
                    raise
                err().print(f"{error.code} {error}", markup=False, soft_wrap=True, highlight=False)
            time.sleep(POLL_SECONDS)


def _events_behind(
    last: dict[str, Any] | None,
    after: int,
    client: signalbox.Client,
    tenancy: Tenancy,
    stream: str,
    timeout: timedelta,
) -> Iterator[dict[str, Any]]:
    """Yield the events behind the one that was printed last, which must still be there.

    After a switch to another backend, versions begin anew: the reader would wait behind them, and
    miss what comes first. Raises Conflict then.
    """
    from signalbox.producers.bulk.stream_reader import events_after

    if last is None:
        yield from events_after(client, tenancy, stream, after, None, timeout)
        return
    events = events_after(client, tenancy, stream, after - 1, None, timeout)
    again = next(events, None)
    if again is None or (again["version"], again["id"]) != (after, last["id"]):
        raise Conflict(
            f"the stream does not have the event of version {after} that was read before: its "
            "route leads to another backend now",
            kind="event_stream",
            tenant_id=tenancy.tenant_id,
            env=tenancy.env,
            next_step="follow it from its beginning, and skip events whose id is known",
        )
    yield from events


def _print_event(event: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(event)
        return
    data = json.dumps(event["data"], ensure_ascii=False)
    at = event["time"] or event["recorded_at"]
    out().print(
        f"{event['version']} {at} {event['type']} {data}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def _event(tenancy: Tenancy, stream: str, line: Line, op_id: str) -> signalbox.Command:
    document = line.document(("type",), ("data", "id", "time"))
    return signalbox.AppendEvent(
        **named(tenancy, op_id),
        stream=stream,
        event=signalbox.Event(data=document.pop("data", {}), **document),
    )
