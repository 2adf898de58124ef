"""Lines that were acknowledged are there, once each: through a killed worker and a full disk."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.command_line import COMMAND, answer, json_lines, run
from tests.integration.conftest import TIMEOUT, start_stack, wait_until
from tests.integration.line_source import HERE, event, numbers_in, numbers_of, route, row

LINES = 5000


@pytest.mark.parametrize("kind", ["rows", "events"])
def test_every_line_is_there_once_after_a_worker_was_killed(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "lines"
    make, words = {
        "rows": (row, ["table", "upsert", "killed", "-"]),
        "events": (event, ["events", "append", "killed", "-"]),
    }[kind]
    source.write_bytes(json_lines(make(number) for number in range(LINES)))
    with (
        start_stack(tmp_path / "stack", workers=2, kills_workers=True) as running,
        running.client() as client,
    ):
        route(running)
        with source.open("rb") as stdin:
            process = subprocess.Popen(
                [*COMMAND, *words, *HERE, "--op-prefix", "import"],
                stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        wait_until(lambda: client.ledger.totals().get("done", 0) > LINES // 10, "a part is stored")
        running.stack.workers[0].kill()
        assert client.ledger.totals()["open"] > 0, "killed too late to mean anything"
        output, errors = process.communicate(timeout=TIMEOUT.total_seconds())
        assert process.returncode == 0, errors.decode()
        assert f"{LINES} of {LINES} lines stored" in output.decode()
        running.wait_until_idle(client)
        found = numbers_in("killed") if kind == "rows" else numbers_of("killed")
        assert found == list(range(LINES))
        totals = client.ledger.totals()
        assert (totals["open"], totals["dead_letters"]) == (0, 0)


@pytest.mark.skipif(
    sys.platform != "linux", reason="limits the files of a running worker: run it on Linux"
)
def test_what_was_acknowledged_before_the_disk_was_full_is_there_and_the_store_goes_on(
    tmp_path: Path,
) -> None:
    rows = [row(number, size=1000) for number in range(1500)]
    with start_stack(tmp_path / "stack", workers=2) as running, running.client() as client:
        route(running)
        assert answer("table", "upsert", "full", "-", *HERE, stdin=json_lines(rows[:1]))["stored"]
        pids = [worker.pid for worker in running.stack.workers]
        # A file that may not grow over this is, to whoever writes it, a disk that is full.
        limits(pids, 600 * 1024)
        result = run("table", "upsert", "full", "-", *HERE, "--json", stdin=json_lines(rows))
        assert result.returncode == 1, "the disk was never full"
        reports = [json.loads(line) for line in result.stderr.splitlines()]
        failed = {report["first"] - 1 for report in reports}
        assert {report["error"]["code"] for report in reports} == {"INSUFFICIENT_STORAGE"}
        assert len(failed) == json.loads(result.stdout)["failed"]
        assert json.loads(result.stdout)["open"] == 0
        limits(pids, resource.RLIM_INFINITY)
        stored = set(range(len(rows))) - failed
        assert stored, "nothing was stored before the disk was full"
        present = numbers_in("full")
        assert len(present) == len(set(present))
        assert set(present) >= stored
        assert answer("table", "upsert", "full", "-", *HERE, stdin=json_lines(rows))["failed"] == 0
        assert numbers_in("full") == list(range(len(rows)))
        assert all(os.path.exists(f"/proc/{pid}") for pid in pids)
        running.wait_until_idle(client)


def limits(pids: list[int], size: int) -> None:
    for pid in pids:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
