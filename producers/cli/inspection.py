"""`signalbox outcome`, `status`, `schema` and `backends`: commands that only look."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from signalbox.commands.error import InvalidCommand, NotFound
from signalbox.producers.cli.console import print_json, print_pairs, print_rows
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.options import AsJson
from signalbox.producers.cli.selection import settings

NOW = ("open", "running", "held", "overdue", "dead_letters")
"""Totals of the ledger that describe the present; all others only grow."""


app = new_app(add_completion=False)


@app.command()
def outcome(
    op_id: Annotated[str, typer.Argument(help="op_id, or TENANT/ENV/OP_ID.")],
    tenant: Annotated[str | None, typer.Option("-t", "--tenant")] = None,
    env: Annotated[str | None, typer.Option("-e", "--env")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the outcome of a command; without -t and -e, all tenants are searched."""
    from signalbox.commands.ledger.ledger import Ledger
    from signalbox.commands.state import connect_to

    its = settings()
    ledger = Ledger(connect_to(its), its)
    if (tenant is None) != (env is None):
        raise typer.BadParameter("give both -t and -e, or neither")
    if not op_id.isprintable():
        raise InvalidCommand("the op_id is no printable text", next_step="copy it from the answer")
    is_search = False
    if op_id.count("/") == 2:
        refs = [op_id]
    elif tenant and env:
        refs = [f"{tenant}/{env}/{op_id}"]
    else:
        is_search, refs = True, ledger.find(op_id)
    records = [record for record in ledger.records(refs) if record is not None]
    if not records:
        raise NotFound(
            f"the ledger knows no command {op_id}",
            tenant_id=tenant,
            env=env,
            next_step=f"check the op_id; {its.kept}",
        )
    documents = []
    for record in records:
        document = asdict(record) | {
            name: detail.model_dump(mode="json") if detail else None
            for name, detail in (("outcome", record.outcome), ("waits_for", record.waits_for))
        }
        documents.append(document)
        if not as_json:
            found = document.pop("outcome") or {}
            accepted = {"accepted_at": record.accepted_at.isoformat()}
            # The positions are for comparing two commands: --json has them.
            hidden = dict.fromkeys(("began", "ended"))
            print_pairs(document | accepted | hidden | found)
    if as_json:
        print_json(documents if is_search else documents[0])


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show queues, workers, and how many commands are open, running, held, overdue or dead."""
    from signalbox.commands.settings import without_password
    from signalbox.commands.state import connect_to
    from signalbox.producers.broker.publisher import make_app
    from signalbox.producers.status import status_of

    its = settings()
    found = status_of(its, connect_to(its), make_app(its))
    if as_json:
        print_json(found)
        return
    totals, archive, lost = found["ledger"], found["archive"], found["ledger_lost"]
    lag = archive["of"] - archive["revision"]
    print_pairs(
        {
            "state": without_password(its.state_url),
            "broker": without_password(its.broker_url),
            "workers": ", ".join(found["workers"]) or "none",
            "archive": f"{archive['revision']} of {archive['of']} events"
            + (f"; waits: {archive['waits_for']}" if lag and archive["waits_for"] else ""),
        }
    )
    if lost:
        rows = [[shard, reason] for shard, reason in lost.items()]
        print_rows("LEDGER_REGRESSED: nothing runs here", ["shard", "what was lost"], rows)
    now = [[name, totals[name]] for name in NOW if name in totals]
    ever = [[name, totals[name]] for name in sorted(totals) if name not in NOW]
    print_rows("commands now", ["", "number"], now)
    print_rows("since the ledger began", ["", "number"], ever)
    if resting := found["resting"]:
        columns = ["worker", "backend", "config", "scope"]
        print_rows("backends that rest", columns, [[*r] for r in resting])
    waiting = [[name, number] for name, number in found["queues"].items() if number]
    print_rows("queues that hold messages", ["queue", "messages"], waiting)


@app.command()
def schema(
    op: Annotated[str | None, typer.Argument(help="A command, such as object_store.put.")] = None,
) -> None:
    """Print the JSON Schema of one command, or of all."""
    from signalbox.commands.schemas import read_schemas

    schemas = read_schemas()
    if op is not None and op not in schemas:
        raise typer.BadParameter(f"use one of: {', '.join(schemas)}")
    print_json(schemas if op is None else schemas[op])


@app.command()
def backends(
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As in the README.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show which backend supports which kind; a dash is refused with BACKEND_NOT_IMPLEMENTED."""
    from signalbox.adapters.catalogue import catalogue
    from signalbox.adapters.support_matrix import markdown, support_table

    if as_markdown:
        typer.echo(markdown())
        return
    if as_json:
        names = ("kind", "backend_type", "lab_only", "capabilities")
        shown = [{name: getattr(each, name) for name in names} for each in catalogue()]
        print_json([each | {"capabilities": sorted(each["capabilities"])} for each in shown])
        return
    header, *rows = support_table()
    print_rows("backends", ["kind", *header[1:]], [[*row] for row in rows])
