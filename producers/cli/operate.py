"""`signalbox outcome`, `status`, `schema`, `worker`: looking in, and running a worker."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from adapters.overview import markdown, overview
from commands.breaker_report import BreakerReport
from commands.error import InvalidCommand, NotFound
from commands.ledger.era import LedgerEras
from commands.ledger.ledger import Ledger
from commands.parse import known_ops
from commands.settings import Settings
from commands.state import connect, without_password
from commands.wire import all_queues
from producers.cli.common import AsJson, out, print_json, print_pairs, print_rows
from producers.publisher import broker_report, make_app
from routing.archive_mark import ArchiveMark
from routing.log import EventLog

NOW = ("open", "running", "held", "overdue", "dead_letters")
"""What stands now, of the ledger's totals; the others only grow."""


def add_to(app: typer.Typer) -> None:
    """Register the subcommands."""
    app.command()(outcome)
    app.command()(status)
    app.command()(schema)
    app.command()(backends)
    app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(worker)


def outcome(
    op_id: Annotated[str, typer.Argument(help="op_id, or TENANT/ENV/OP_ID.")],
    tenant: Annotated[str | None, typer.Option("-t", "--tenant")] = None,
    env: Annotated[str | None, typer.Option("-e", "--env")] = None,
    as_json: AsJson = False,
) -> None:
    """What became of a command; without -t and -e every tenant's commands are searched."""
    settings = Settings()
    ledger = Ledger(connect(settings.state_url), settings)
    if (tenant is None) != (env is None):
        raise typer.BadParameter("give both -t and -e, or neither")
    if not op_id.isprintable():
        raise InvalidCommand("the op_id is no printable text", next_step="copy it from the answer")
    if op_id.count("/") == 2:
        refs = [op_id]
    elif tenant and env:
        refs = [f"{tenant}/{env}/{op_id}"]
    else:
        refs = ledger.find(op_id)
    records = [record for record in ledger.records(refs) if record is not None]
    if not records:
        raise NotFound(
            f"the ledger knows no command {op_id}",
            tenant_id=tenant,
            env=env,
            next_step="check the op_id; outcomes are kept "
            f"{settings.outcome_retention} (writes) or {settings.read_retention} (reads)",
        )
    for record in records:
        document = asdict(record) | {
            name: detail.model_dump(mode="json") if detail else None
            for name, detail in (("outcome", record.outcome), ("waits_for", record.waits_for))
        }
        if as_json:
            print_json(document)
        else:
            print_pairs(document | (document.pop("outcome") or {}))


def status(as_json: AsJson = False) -> None:
    """Queues, workers, and how many commands are open, running, held, overdue or dead."""
    settings = Settings()
    state = connect(settings.state_url)
    totals = Ledger(state, settings).totals()
    mark, head = ArchiveMark(state).read(), EventLog(state).head()
    resting, lost = BreakerReport(state).read(), LedgerEras(state).lost()
    queues, workers = broker_report(make_app(settings), all_queues(settings.tenant_shards))
    if as_json:
        archive = {"revision": mark.revision, "of": head.revision, "waits_for": mark.waits_for}
        print_json(
            {
                "ledger": totals,
                "queues": queues,
                "workers": workers,
                "archive": archive,
                "resting": resting,
                "ledger_lost": lost,
            }
        )
        return
    behind = head.revision - mark.revision
    print_pairs(
        {
            "state": without_password(settings.state_url),
            "broker": without_password(settings.broker_url),
            "workers": ", ".join(workers) or "none",
            "archive": f"{mark.revision} of {head.revision} events"
            + (f"; waits: {mark.waits_for}" if behind and mark.waits_for else ""),
        }
    )
    if lost:
        rows = [[shard, reason] for shard, reason in lost.items()]
        print_rows("LEDGER_REGRESSED: nothing runs here", ["shard", "what was lost"], rows)
    now = [[name, totals[name]] for name in NOW if name in totals]
    ever = [[name, totals[name]] for name in sorted(totals) if name not in NOW]
    print_rows("commands now", ["", "number"], now)
    print_rows("since the ledger began", ["", "number"], ever)
    if resting:
        columns = ["worker", "backend", "config", "scope"]
        print_rows("backends that rest", columns, [[*r] for r in resting])
    waiting = [[name, number] for name, number in queues.items() if number]
    print_rows("queues that hold messages", ["queue", "messages"], waiting)


def schema(
    op: Annotated[str | None, typer.Argument(help="A command, such as object_store.put.")] = None,
) -> None:
    """The JSON Schema of one command, or of all."""
    models = known_ops()
    if op is not None and op not in models:
        raise typer.BadParameter(f"use one of: {', '.join(sorted(models))}")
    chosen = [op] if op else sorted(models)
    document = {name: models[name].model_json_schema() for name in chosen}
    print_json(document[op] if op else document)


def backends(
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As README has it.")] = False,
) -> None:
    """Which backend holds which kind; a dash is refused with BACKEND_NOT_IMPLEMENTED."""
    if as_markdown:
        typer.echo(markdown())
        return
    header, *rows = overview()
    print_rows("backends", header, [[*row] for row in rows])


def worker(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", help="Unique name; a host is added.")] = "worker",
    concurrency: Annotated[int, typer.Option("-c", "--concurrency", min=1)] = 4,
    pool: Annotated[str, typer.Option("-P", "--pool", help="threads or prefork.")] = "threads",
) -> None:
    """Run a worker until SIGTERM; further options go to Celery's own worker."""
    settings = Settings()
    out.print(
        f"worker {name}: broker {without_password(settings.broker_url)}, "
        f"state {without_password(settings.state_url)}",
        soft_wrap=True,
    )
    sys.stdout.flush()
    # Threads, since storage commands mostly wait, and a batch's objects run side by side within a
    # slot anyway; commands that compute want processes, at 100 MiB each.
    arguments = ["-m", "celery", "-A", "workers.app", "worker", "--loglevel", "WARNING"]
    arguments += ["--pool", pool, "--concurrency", str(concurrency), "--without-mingle"]
    arguments += ["--hostname", name if "@" in name else f"{name}@%h", *context.args]
    # SIGTERM is to mean Celery's soft shutdown, within which what runs may finish.
    environment = os.environ | {"REMAP_SIGTERM": "SIGQUIT"}
    os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606
