"""What a small put, get and delete on S3 cost in processor time: by the adapter, and bare boto3.

The ways of a write: *unfenced* is one request, which ends with its lease; *fenced* is one that is
conditional as well, or a look before it where an object is expected; a fenced delete is a look, a
tombstone and the delete.

The service is a stub in a process of its own; the time is that of this process alone, with all
its threads. Threads are as many as a worker has, and one.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from rich.console import Console
from rich.table import Table

from benchmarks.figure import load_average
from benchmarks.stub import running
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.s3.object_driver import open_driver
from signalbox.commands.clock import lease_clock
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import DeleteObject, GetObject, PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope

BUCKET, REGION, KEY = "bench", "eu-central-1", "bench"
WORKER_THREADS = 16
CONTENT = b"x" * 1024
ROUNDS = 9
BARE, OURS = 320, 2240
"""Requests a round; in turns, so that what else the machine does is shared by both."""
SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_bench", env="dev")

Step = Callable[[int], object]


def bare_client(endpoint: str) -> Any:
    """A client as boto3 makes it, with sockets for all threads."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        config=Config(max_pool_connections=WORKER_THREADS),
    )


@contextmanager
def adapter(endpoint: str, *, fenced: bool) -> Iterator[tuple[ObjectStore, DirectoryPayloadStore]]:
    """The adapter of a route to the stub, and where its payloads are staged."""
    with tempfile.TemporaryDirectory() as folder:
        credentials = Path(folder, "credentials.ini")
        credentials.write_text(
            f"[default]\naws_access_key_id={KEY}\naws_secret_access_key={KEY}\n", "utf-8"
        )
        config = {
            "bucket": BUCKET,
            "region": REGION,
            "endpoint_url": endpoint,
            "credentials_file": str(credentials),
            "fenced_writes": fenced,
        }
        store = ObjectStore(open_driver(AdapterContext(SCOPE, Mode.SAAS, config)))
        yield store, DirectoryPayloadStore(Path(folder, "payloads"))
        store.close()


def call_for(number: int, payloads: DirectoryPayloadStore) -> Call:
    return Call(new_op_id(), number, False, lease_clock() + 3600, payloads)


def per_cpu_second(step: Step, rounds: int, threads: int) -> float:
    """Steps a second of this process's processor time."""
    numbers = count()

    def share(_: int) -> None:
        for _ in range(rounds // threads):
            step(next(numbers))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(step, range(threads)))
        before = time.process_time()
        list(pool.map(share, range(threads)))
        spent = time.process_time() - before
    return rounds // threads * threads / spent


def s3_small_cost(console: Console) -> dict[str, float]:
    """The ratios, adapter to bare boto3, in operations a second of processor time: `put_16`, an
    unfenced one with the threads of a worker, `put_1`, and the others likewise; each the median of
    its rounds."""
    table = Table(title=f"S3, 1 KiB: operations a CPU second ({load_average()})")
    for column in ("", "threads", "bare boto3", "adapter", "ratio"):
        table.add_column(column, justify="right")
    ratios = {}
    with (
        running("s3_stub") as endpoint,
        adapter(endpoint, fenced=False) as (store, payloads),
        adapter(endpoint, fenced=True) as (fenced, _),
        adapter(endpoint, fenced=True) as (over, _),
    ):
        client = bare_client(endpoint)
        payload = InlinePayload(data=CONTENT)
        scope_fields = {"tenant_id": SCOPE.tenant_id, "env": SCOPE.env}
        # As they stand before the adapter in a worker: parsed, claimed, and with their calls.
        puts = [PutObject(key=f"k{n:06}", payload=payload, **scope_fields) for n in range(OURS)]
        deletes = [DeleteObject(key=f"k{n:06}", **scope_fields) for n in range(OURS)]
        gets = [GetObject(key=f"k{n:06}", **scope_fields) for n in range(OURS)]
        calls = [call_for(n, payloads) for n in range(OURS)]
        later = [call_for(n + OURS, payloads) for n in range(OURS)]

        def bare_put(number: int) -> None:
            client.put_object(Bucket=BUCKET, Key=f"k{number:06}", Body=CONTENT)

        def bare_get(number: int) -> None:
            client.get_object(Bucket=BUCKET, Key=f"k{number:06}")["Body"].read()

        def put(number: int) -> None:
            store.put(puts[number], calls[number])

        def get(number: int) -> None:
            body = store.get(gets[number], calls[number]).body
            if len(body.read()) != len(CONTENT):
                raise RuntimeError("an object came back shorter than it went")
            body.close()

        def bare_delete(number: int) -> None:
            client.delete_object(Bucket=BUCKET, Key=f"k{number:06}")

        def delete(number: int) -> None:
            store.delete(deletes[number], calls[number])

        # The stub judges no condition: so what is expected stays as the first of each found it.
        def put_new(number: int) -> None:
            fenced.put(puts[number], calls[number])

        def put_over(number: int) -> None:
            over.put(puts[number], later[number])

        def delete_fenced(number: int) -> None:
            fenced.delete(deletes[number], calls[number])

        def fill() -> None:
            for number in range(OURS):
                put(number)

        over._expectation.new_keys = False
        steps: dict[str, tuple[Step, Step]] = {
            "put": (bare_put, put),
            "put_new_fenced": (bare_put, put_new),
            "put_over_fenced": (bare_put, put_over),
            "get": (bare_get, get),
            "delete_fenced": (bare_delete, delete_fenced),
            "delete": (bare_delete, delete),
        }
        for threads in (WORKER_THREADS, 1):
            for name, (bare, ours) in steps.items():
                rates = []
                for _ in range(ROUNDS):
                    fill()
                    bares = per_cpu_second(bare, BARE, threads)
                    rates.append((bares, per_cpu_second(ours, OURS, threads)))
                ratio = statistics.median(its / bare_rate for bare_rate, its in rates)
                medians = [statistics.median(rate) for rate in zip(*rates, strict=True)]
                ratios[f"{name}_{threads}"] = ratio
                table.add_row(
                    name, str(threads), *(f"{rate:,.0f}" for rate in medians), f"{ratio:.1f} x"
                )
    console.print(table)
    return ratios


def main() -> None:
    console = Console()
    console.print(s3_small_cost(console))


if __name__ == "__main__":
    main()
