"""`ls` of tables, series and streams: prints their names, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import signalbox
from signalbox.commands.vocabulary import Mode
from signalbox.producers.cli.connection import make_client, make_tenancy, named
from signalbox.producers.cli.console import print_json, print_rows
from signalbox.producers.cli.paging import say_if_more, walk

if TYPE_CHECKING:
    from signalbox.commands.listing import ListNames

Prefix = Annotated[str, typer.Argument(help="Only names with this prefix.")]
AllowScan = Annotated[
    bool, typer.Option("--allow-scan", help="Read all that is stored where there is no list.")
]
MAX_PAGE = 1000


def print_names(
    model: type[ListNames],
    field: str,
    tenant: str,
    env: str,
    prefix: str,
    allow_scan: bool,
    limit: int,
    mode: Mode,
    wait: float,
    as_json: bool,
) -> None:
    """Run `model` for each page, and print the names in `field` of its results."""
    tenancy = make_tenancy(tenant, env, mode)

    def ask(count: int, cursor: str | None) -> signalbox.Command:
        return model(
            **named(tenancy),
            prefix=prefix,
            limit=min(MAX_PAGE, count),
            cursor=cursor,
            allow_scan=allow_scan,
        )

    with make_client() as client:
        names, cursor = walk(client, wait, limit, ask, lambda page: page[field])
    if as_json:
        print_json({field: names, "next_cursor": cursor})
        return
    print_rows(f"{tenancy.tenant_id}/{tenancy.env}", [field], [[name] for name in names])
    say_if_more(limit, cursor)
