"""Which Celery pool, and how many slots: `python -m benchmarks.pool`.

One worker process group at a time, on commands that wait (an S3 that takes 20 ms to answer) and on
commands that compute (an embedded backend), submitted singly and 100 a message.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.figure import load_average
from benchmarks.stub import running
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.stack import EmbeddedStack
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget

POOLS = [("threads", 1), ("threads", 4), ("threads", 16), ("prefork", 2), ("prefork", 4)]
DELAY = 0.02
"""Seconds that the S3 takes for an answer."""
SECONDS = 1.5
WAITS, COMPUTES = "t_waits", "t_computes"


def pool_cost(console: Console) -> dict[str, float]:
    """Commands a second of each pool, by its name, slots, tenant and commands a message."""
    figures: dict[str, float] = {}
    table = Table(title=f"pools, commands/s ({load_average()})")
    for column in ("pool", "slots", "waits, single", "waits, 100", "computes, single"):
        table.add_column(column, justify="right")
    for column in ("computes, 100", "RSS, MiB"):
        table.add_column(column, justify="right")
    for pool, slots in POOLS:
        with tempfile.TemporaryDirectory() as folder, _worker(Path(folder), pool, slots) as stack:
            rates = []
            for tenant in (WAITS, COMPUTES):
                for size in (1, 100):
                    rate = _rate(tenant, size)
                    figures[f"{pool} {slots} {tenant} {size}"] = rate
                    rates.append(f"{rate:.0f}")
            table.add_row(pool, str(slots), *rates, f"{_memory(stack):.0f}")
    console.print(table)
    return figures


@contextmanager
def _worker(data: Path, pool: str, slots: int) -> Iterator[EmbeddedStack]:
    options = ["-c", str(slots), "-P", pool]
    stack = EmbeddedStack(data, workers=1, flower=False, worker_options=options)
    credentials = data / "credentials"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    with running("s3_stub", str(DELAY)) as endpoint, stack:
        os.environ.update(stack.environment)
        _route(COMPUTES, "filesystem", {"base_dir": str(data / "objects")})
        config: dict[str, str] = {"bucket": "bench", "region": "eu-central-1"}
        config |= {"endpoint_url": endpoint}
        _route(WAITS, "s3", config | {"credentials_file": str(credentials)})
        yield stack


def _route(tenant: str, backend_type: str, config: dict[str, Any]) -> None:
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="dev")
    Registry(connect(Settings().state_url)).set(
        scope,
        RouteTarget(backend_type, config, Mode.LAB),
        Change(actor="bench", reason="bench", change_id=new_op_id()),
    )


def _rate(tenant: str, size: int) -> float:
    """Commands a second with 400 open all the time."""
    with Client(Settings()) as client:
        done, pending = 0, [client.submit_many(_puts(tenant, size)) for _ in range(400 // size)]
        started = time.perf_counter()
        while time.perf_counter() - started < SECONDS:
            outcomes = client.wait(pending.pop(0), timedelta(minutes=1))
            if not all(outcome and outcome.error is None for outcome in outcomes):
                raise RuntimeError(f"a command of {tenant} failed: {outcomes}")
            done += size
            pending.append(client.submit_many(_puts(tenant, size)))
        elapsed = time.perf_counter() - started
        for submissions in pending:
            client.wait(submissions, timedelta(minutes=1))
        return done / elapsed


def _puts(tenant: str, size: int) -> list[PutObject]:
    payload = InlinePayload(data=b"x" * 1024)
    return [
        PutObject(tenant_id=tenant, env="dev", key=new_op_id(), payload=payload)
        for _ in range(size)
    ]


def _memory(stack: EmbeddedStack) -> float:
    """MiB of the worker and its children."""
    worker = psutil.Process(stack.workers[0].pid)
    processes = [worker, *worker.children(recursive=True)]
    return float(sum(each.memory_info().rss for each in processes)) / 2**20


if __name__ == "__main__":
    pool_cost(Console())
