"""`signalbox table`: stores, reads, removes and queries rows, through the queue."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

import signalbox
from signalbox.commands.vocabulary import Mode
from signalbox.producers.cli.connection import make_client, make_tenancy, named
from signalbox.producers.cli.console import print_json, print_rows
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.name_list import AllowScan, Prefix, print_names
from signalbox.producers.cli.notation import comparison, json_object, shown
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
from signalbox.producers.cli.paging import Limit, say_if_more, walk

if TYPE_CHECKING:
    from signalbox.producers.bulk.folder import Tenancy
    from signalbox.producers.bulk.line_input import Line

app = new_app(
    add_completion=False,
    help="Store, read and query rows of tables, and list tables.",
    no_args_is_help=True,
)

Table = Annotated[str, typer.Argument(metavar="TABLE", help="Table name.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Row key.")]
MAX_PAGE = 1000


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
    """List the names of tables."""
    print_names(
        signalbox.ListTables, "tables", tenant, env, prefix, allow_scan, limit, mode, wait, as_json
    )


@app.command()
def upsert(
    tenant: Tenant,
    env: EnvName,
    table: Table,
    key: Annotated[
        str, typer.Argument(metavar="KEY|-", help="Row key; - alone: rows as JSON lines.")
    ],
    data: Annotated[
        str | None, typer.Argument(metavar="DATA|-", help="JSON object, or - for standard input.")
    ] = None,
    mode: ModeName = Mode.LAB,
    if_absent: Annotated[bool, typer.Option("--if-absent", help="Only create.")] = False,
    if_revision: Annotated[int | None, typer.Option(help="Only replace this revision.")] = None,
    op_id: Annotated[str | None, typer.Option(help="Idempotency key of your own.")] = None,
    op_prefix: OpPrefix = None,
    wait: WaitLines = None,
    as_json: AsJson = False,
) -> None:
    """Store one row: TABLE KEY DATA; or many from standard input: TABLE -.

    Each line is {"key": …, "data": {…}} and may have if_absent, if_revision and op_id.
    """
    from signalbox.producers.bulk.ingest import Naming
    from signalbox.producers.cli.lines import lines_of_input, one_each, store_lines

    tenancy = make_tenancy(tenant, env, mode)
    if data is None:
        if key != "-":
            raise typer.BadParameter("give the row's DATA, or - for standard input")
        if op_id or if_absent or if_revision is not None:
            raise typer.BadParameter(
                "TABLE - stores many rows: put these fields into each JSON line"
            )
        rows = one_each(
            Naming(op_prefix), lambda line, name: _row(tenancy, table, line, name), lines_of_input()
        )
        store_lines(rows, wait, as_json)
        return
    if op_prefix:
        raise typer.BadParameter("--op-prefix is for many rows; one takes --op-id")
    command = signalbox.UpsertRow(
        **named(tenancy, op_id),
        table_name=table,
        key=key,
        data=json_object(sys.stdin.buffer.read() if data == "-" else data),
        condition=signalbox.RowCondition(if_absent=if_absent, if_revision=if_revision),
    )
    run_and_show(command, ONE_WAIT if wait is None else wait, as_json)


@app.command()
def get(
    tenant: Tenant,
    env: EnvName,
    table: Table,
    key: Key,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Read one row."""
    tenancy = make_tenancy(tenant, env, mode)
    run_and_show(signalbox.GetRow(**named(tenancy), table_name=table, key=key), wait, as_json)


@app.command()
def rm(
    tenant: Tenant,
    env: EnvName,
    table: Table,
    key: Key,
    if_revision: Annotated[int | None, typer.Option(help="Only this revision.")] = None,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Remove a row; a missing row is not an error."""
    fields = named(make_tenancy(tenant, env, mode))
    command = signalbox.DeleteRow(**fields, table_name=table, key=key, if_revision=if_revision)
    run_and_show(command, wait, as_json)


@app.command()
def query(
    tenant: Tenant,
    env: EnvName,
    table: Table,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COMPARISON", help="'age>=18', 'name=Ann'; all of them must hold."),
    ] = None,
    order_by: Annotated[str | None, typer.Option(help="Column; default: the key.")] = None,
    desc: Annotated[bool, typer.Option("--desc", help="In descending order.")] = False,
    allow_scan: Annotated[
        bool, typer.Option("--allow-scan", help="Read the whole table where no index serves.")
    ] = False,
    limit: Limit = 100,
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Print rows that match all comparisons, in order; values are JSON, or unquoted text."""
    tenancy = make_tenancy(tenant, env, mode)
    filters = [comparison(text) for text in where or []]

    def ask(count: int, cursor: str | None) -> signalbox.Command:
        return signalbox.QueryRows(
            **named(tenancy),
            table_name=table,
            filters=filters,
            order_by=order_by,
            descending=desc,
            limit=min(MAX_PAGE, count),
            cursor=cursor,
            allow_scan=allow_scan,
        )

    with make_client() as client:
        rows, cursor = walk(client, wait, limit, ask, lambda page: page["rows"])
    if as_json:
        print_json({"rows": rows, "next_cursor": cursor})
        return
    columns = list(dict.fromkeys(name for row in rows for name in row["data"]))
    cells: list[list[Any]] = [
        [row["key"], row["revision"]]
        + [shown(row["data"][name]) if name in row["data"] else "" for name in columns]
        for row in rows
    ]
    print_rows(f"{tenancy.tenant_id}/{tenancy.env} {table}", ["key", "revision", *columns], cells)
    say_if_more(limit, cursor)


def _row(tenancy: Tenancy, table: str, line: Line, op_id: str) -> signalbox.Command:
    document = line.document(("key", "data"), ("if_absent", "if_revision", "op_id"))
    own = document.get("op_id")
    return signalbox.UpsertRow(
        **named(tenancy, op_id if own is None else own),
        table_name=table,
        key=document["key"],
        data=document["data"],
        condition=signalbox.RowCondition(
            if_absent=document.get("if_absent", False), if_revision=document.get("if_revision")
        ),
    )
