"""What a small put, get and head on Azure Blob cost in processor time.

By the SDK alone, through the adapter, which stands on it, and by obstore, which it does not use.

The service is a stub in a process of its own. docs/performance.md says what follows from it.
"""

from __future__ import annotations

import base64
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
from azure.storage.blob import BlobServiceClient
from obstore.store import AzureStore
from rich.console import Console
from rich.table import Table

from benchmarks.figure import load_average
from benchmarks.s3_small import (
    CONTENT,
    SCOPE,
    WORKER_THREADS,
    Step,
    call_for,
    per_cpu_second,
)
from benchmarks.stub import running
from signalbox.adapters.azure_blob.object_driver import open_driver
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext
from signalbox.commands.object_store import GetObject, HeadObject, PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import Mode

ACCOUNT, CONTAINER = "bench", "bench"
KEY = base64.b64encode(b"k" * 32).decode()
ROUNDS = 5
REQUESTS = {"SDK": 320, "adapter": 320, "adapter, unfenced": 320, "obstore": 2240}
METADATA = {"op_id": "bench", "seq": "1"}


@contextmanager
def _adapter(endpoint: str, folder: str, *, fenced: bool) -> Iterator[ObjectStore]:
    key_file = Path(folder, "key")
    key_file.write_text(KEY, "utf-8")
    config = {
        "account_url": f"{endpoint}/{ACCOUNT}",
        "container": CONTAINER,
        "account_key_file": str(key_file),
        "fenced_writes": fenced,
    }
    store = ObjectStore(open_driver(AdapterContext(SCOPE, Mode.SAAS, config)))
    yield store
    store.close()


def _steps(endpoint: str, folder: str) -> Iterator[tuple[str, str, Step]]:
    """Verb, by what, and the step."""
    payloads = DirectoryPayloadStore(Path(folder, "payloads"))
    scope_fields = {"tenant_id": SCOPE.tenant_id, "env": SCOPE.env}
    payload = InlinePayload(data=CONTENT)
    sdk = BlobServiceClient(
        f"{endpoint}/{ACCOUNT}",
        credential={"account_name": ACCOUNT, "account_key": KEY},
        retry_total=0,
    ).get_container_client(CONTAINER)
    rust = AzureStore(
        CONTAINER,
        account_name=ACCOUNT,
        account_key=KEY,
        endpoint=f"{endpoint}/{ACCOUNT}",
        client_options={"allow_http": True},
    )
    yield (
        "put",
        "SDK",
        lambda n: sdk.upload_blob(f"k{n}", CONTENT, metadata=METADATA, overwrite=True),
    )
    yield "get", "SDK", lambda n: sdk.download_blob(f"k{n}").readall()
    yield "head", "SDK", lambda n: sdk.get_blob_client(f"k{n}").get_blob_properties()
    yield (
        "put",
        "obstore",
        lambda n: obstore.put(rust, f"k{n}", CONTENT, attributes=METADATA, use_multipart=False),
    )
    yield "get", "obstore", lambda n: bytes(obstore.get(rust, f"k{n}").bytes())
    yield "head", "obstore", lambda n: obstore.get(rust, f"k{n}", options={"head": True}).attributes
    for fenced in (True, False):
        with _adapter(endpoint, folder, fenced=fenced) as store:
            name = "adapter" if fenced else "adapter, unfenced"
            yield (
                "put",
                name,
                lambda n: store.put(
                    PutObject(key=f"a{n}", payload=payload, **scope_fields), call_for(n, payloads)
                ),
            )
            if fenced:
                yield (
                    "get",
                    name,
                    lambda n: store.get(
                        GetObject(key=f"a{n}", **scope_fields), call_for(n, payloads)
                    ).body.read(),
                )
                yield (
                    "head",
                    name,
                    lambda n: store.head(
                        HeadObject(key=f"a{n}", **scope_fields), call_for(n, payloads)
                    ),
                )


def azure_small_cost(console: Console) -> dict[str, float]:
    """Operations a second of processor time, by verb and by what, with a worker's threads."""
    rates: dict[tuple[str, str], float] = {}
    with running("azure_stub") as endpoint, tempfile.TemporaryDirectory() as folder:
        for verb, name, step in _steps(endpoint, folder):
            rounds = [per_cpu_second(step, REQUESTS[name], WORKER_THREADS) for _ in range(ROUNDS)]
            rates[verb, name] = statistics.median(rounds)
    table = Table(title=f"Azure Blob, 1 KiB: operations a CPU second ({load_average()})")
    for column in ("", "by", "operations", "to the SDK"):
        table.add_column(column, justify="right")
    for (verb, name), rate in rates.items():
        table.add_row(verb, name, f"{rate:,.0f}", f"{rate / rates[verb, 'SDK']:.1f} x")
    console.print(table)
    return {f"{verb} {name}": rate for (verb, name), rate in rates.items()}


if __name__ == "__main__":
    azure_small_cost(Console())
