"""How fast 1 GiB goes to S3, and the memory it takes: through the adapter, and by bare boto3.

Each upload has a process of its own, in turns; the service is a stub that forgets what it reads.
boto3 uploads as `upload_fileobj` does by itself, which checks no digest of the whole content.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figure import load_average
from benchmarks.s3_small import BUCKET, CONTENT, SCOPE, adapter, bare_client, call_for
from benchmarks.stub import running
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload, StagedPayload

GIB = 1024**3
MIB = 1024**2
ROUNDS = 3
BARE, OURS = "bare boto3", "adapter"
SCOPE_FIELDS = {"tenant_id": SCOPE.tenant_id, "env": SCOPE.env}


def memory_mib(line: str) -> float:
    """Of this process: `VmRSS` now, `VmHWM` the most there ever was."""
    for text in Path("/proc/self/status").read_text().splitlines():
        if text.startswith(f"{line}:"):
            return int(text.split()[1]) / 1024
    raise RuntimeError(f"the system does not tell {line}")


def upload(way: str, endpoint: str, folder: Path, staged: StagedPayload) -> dict[str, float]:
    """One upload in this process, after a small one each way: what is idle has sockets."""
    payloads = DirectoryPayloadStore(folder)
    with adapter(endpoint, fenced=False) as (store, _):
        client = bare_client(endpoint)
        client.put_object(Bucket=BUCKET, Key="small", Body=CONTENT)
        small = PutObject(key="small", payload=InlinePayload(data=CONTENT), **SCOPE_FIELDS)
        store.put(small, call_for(0, payloads))
        command = PutObject(key="large", payload=staged, **SCOPE_FIELDS)
        idle, spent, started = memory_mib("VmRSS"), time.process_time(), time.perf_counter()
        if way == BARE:
            with payloads.open(staged) as source:
                client.upload_fileobj(source, BUCKET, "large")
        else:
            store.put(command, call_for(1, payloads))
        return {
            "seconds": time.perf_counter() - started,
            "cpu": time.process_time() - spent,
            "memory": memory_mib("VmHWM") - idle,
        }


def s3_large_cost(console: Console) -> dict[str, float]:
    """`throughput`: adapter to bare boto3, median of rounds; `memory_mib`: the adapter's peak
    above idle, the worst of them."""
    runs: dict[str, list[dict[str, float]]] = {BARE: [], OURS: []}
    with tempfile.TemporaryDirectory() as folder, running("s3_stub") as endpoint:
        block = os.urandom(MIB)
        staged = DirectoryPayloadStore(Path(folder)).stage(block for _ in range(GIB // MIB))
        for _ in range(ROUNDS):
            for way, its in runs.items():
                upload_it = (way, endpoint, folder, staged.model_dump_json())
                said = subprocess.run(  # noqa: S603 - this program
                    [sys.executable, "-m", "benchmarks.s3_large", *upload_it],
                    check=True,
                    stdout=subprocess.PIPE,
                )
                its.append(json.loads(said.stdout))
    table = Table(title=f"1 GiB to S3, median of {ROUNDS} ({load_average()})")
    for column in ("", "MiB/s", "CPU s", "MiB above idle, at most"):
        table.add_column(column, justify="right")
    rate, memory = {}, {}
    for way, its in runs.items():
        rate[way] = GIB / MIB / statistics.median(run["seconds"] for run in its)
        memory[way] = max(run["memory"] for run in its)
        cpu = statistics.median(run["cpu"] for run in its)
        table.add_row(way, f"{rate[way]:.0f}", f"{cpu:.2f}", f"{memory[way]:.0f}")
    console.print(table)
    return {"throughput": rate[OURS] / rate[BARE], "memory_mib": memory[OURS]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("upload", nargs="*", help="one upload: way, endpoint, folder, payload")
    if one := parser.parse_args().upload:
        way, endpoint, folder, staged = one
        done = upload(way, endpoint, Path(folder), StagedPayload.model_validate_json(staged))
        print(json.dumps(done))  # noqa: T201 - for the process that asked
    else:
        console = Console()
        console.print(s3_large_cost(console))


if __name__ == "__main__":
    main()
