"""`signalbox metrics`: stores and queries points of series, through the queue."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

import signalbox
from signalbox.commands.vocabulary import Aggregation, Mode
from signalbox.producers.cli.connection import make_client, make_tenancy, named
from signalbox.producers.cli.console import print_json, print_rows
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.name_list import AllowScan, Prefix, print_names
from signalbox.producers.cli.notation import duration, moment, number
from signalbox.producers.cli.options import (
    ONE_WAIT,
    AsJson,
    EnvName,
    ModeName,
    OpPrefix,
    Tenant,
    Wait,
    WaitLines,
    pairs,
)
from signalbox.producers.cli.outcome_text import run_and_show
from signalbox.producers.cli.paging import Limit, say_if_more, walk

app = new_app(
    add_completion=False,
    help="Ingest points of metrics, query them, and list series.",
    no_args_is_help=True,
)

LabelPairs = Annotated[
    list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Label; repeatable.")
]
MAX_PAGE = 10_000


class WithNegativeNumbers(TyperCommand):
    """Parses `-5` as a number and not as an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" not in args:
            numbers = [arg for arg in args if re.match(r"-\.?\d", arg)]
            if numbers:
                args = [arg for arg in args if arg not in numbers] + ["--", *numbers]
        return super().parse_args(ctx, args)


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
    """List the names of series."""
    print_names(
        signalbox.ListSeries, "series", tenant, env, prefix, allow_scan, limit, mode, wait, as_json
    )


@app.command(cls=WithNegativeNumbers)
def ingest(
    tenant: Tenant,
    env: EnvName,
    series: Annotated[
        str, typer.Argument(metavar="SERIES|-", help="Series; - alone: points as JSON lines.")
    ],
    value: Annotated[str | None, typer.Argument(metavar="VALUE", help="Number.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="2026-01-31T12:00:00Z; left out: now.")
    ] = None,
    label: LabelPairs = None,
    mode: ModeName = Mode.LAB,
    op_id: Annotated[str | None, typer.Option(help="Idempotency key of your own.")] = None,
    op_prefix: OpPrefix = None,
    wait: WaitLines = None,
    as_json: AsJson = False,
) -> None:
    """Store one point: SERIES VALUE; or many from standard input: -.

    Each line is {"series": …, "timestamp": …, "value": …} and may have labels. Up to 500 lines
    make one command; with --op-prefix its op_id is NAME-<first line>-<last line>.
    """
    from signalbox.producers.bulk.ingest import Naming
    from signalbox.producers.cli.lines import lines_of_input, store_lines
    from signalbox.producers.cli.point_lines import grouped

    tenancy = make_tenancy(tenant, env, mode)
    if value is None:
        if series != "-":
            raise typer.BadParameter("give the point's VALUE, or - alone for standard input")
        if op_id or at or label:
            raise typer.BadParameter("- ingests many points: put these fields into each JSON line")
        store_lines(grouped(tenancy, Naming(op_prefix), lines_of_input()), wait, as_json)
        return
    if op_prefix:
        raise typer.BadParameter("--op-prefix is for many points; one takes --op-id")
    point = signalbox.Point(
        series=series,
        timestamp=moment(at) if at else datetime.now(UTC),
        value=number(value),
        labels=pairs(label),
    )
    command = signalbox.IngestPoints(**named(tenancy, op_id), points=[point])
    run_and_show(command, ONE_WAIT if wait is None else wait, as_json)


@app.command()
def query(
    tenant: Tenant,
    env: EnvName,
    series: Annotated[str, typer.Argument(metavar="SERIES", help="Series name.")],
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Start of the range, included.")
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="End of the range, excluded; default: now."),
    ] = None,
    last: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Instead of --from: 30s, 5m, 1h, 7d.")
    ] = None,
    agg: Annotated[
        Aggregation | None, typer.Option(help="One value for each window and group.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Default: the whole range.")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="Group by this label; repeatable.")
    ] = None,
    label: LabelPairs = None,
    limit: Limit = 1000,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Print points of one series in a range of time, raw or aggregated."""
    if (start is None) == (last is None):
        raise typer.BadParameter("give --from (and --to), or --last")
    until = moment(end) if end else datetime.now(UTC)
    tenancy = make_tenancy(tenant, env, mode)
    try:
        since = moment(start) if start else until - duration(last or "")
    except OverflowError:
        raise typer.BadParameter("--last reaches back before year 1") from None

    def ask(count: int, cursor: str | None) -> signalbox.Command:
        return signalbox.QueryPoints(
            **named(tenancy),
            series=series,
            start=since,
            end=until,
            labels=pairs(label),
            aggregation=agg,
            window=duration(window) if window else None,
            group_by=by or [],
            limit=min(MAX_PAGE, count),
            cursor=cursor,
        )

    name = "points" if agg is None else "windows"
    with make_client() as client:
        entries, cursor = walk(client, wait, limit, ask, lambda page: page[name])
    if as_json:
        print_json({name: entries, "next_cursor": cursor})
        return
    columns = ["timestamp" if agg is None else "start", "labels", "value"]
    columns += [] if agg is None else ["count"]
    title = f"{tenancy.tenant_id}/{tenancy.env} {series}" + (f" {agg}" if agg else "")
    print_rows(title, columns, [[entry[column] for column in columns] for entry in entries])
    say_if_more(limit, cursor)
