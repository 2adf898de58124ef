"""Both workers killed in the middle of storing a folder: nothing lost, nothing doubled."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from signalbox.commands.object_store import ListObjects
from signalbox.producers.bulk.folder import Tenancy, digests, files_below, store_files
from tests.integration.conftest import TIMEOUT, RunningStack, start_stack, wait_until

FILES = 600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(FILES):
        path = tmp_path / "source" / f"d{number % 7}" / f"file-{number:04}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Some over the inline limit, so that staged contents are in play as well.
        path.write_bytes(hashlib.sha256(str(number).encode()).digest() * (1 + number % 50 * 100))
    return tmp_path / "source"


def test_every_file_is_there_once_after_both_workers_were_killed(
    tmp_path: Path, folder: Path
) -> None:
    tenancy = Tenancy("t_kill", "dev")
    files = files_below(folder)
    assert len(files) == FILES
    with (
        start_stack(tmp_path / "stack", workers=2, kills_workers=True) as running,
        running.client() as client,
    ):
        running.route_to_folder(tenancy.tenant_id)
        stored = []
        for item in store_files(client, tenancy, files, timeout=TIMEOUT):
            stored.append(item)
            if len(stored) == 150:
                _kill_all(running)
                assert client.ledger.totals()["open"] > 0, "killed too late to mean anything"
                running.stack.start_worker()
        assert [item.error for item in stored if item.error] == []
        running.wait_until_idle(client)

        expected = {item.file.key: item.sha256 for item in stored}
        assert dict(digests(client, tenancy, list(expected))) == expected
        listed: list[str] = []
        cursor = None
        while True:
            page = client.run_outcome(
                ListObjects(tenant_id=tenancy.tenant_id, env=tenancy.env, cursor=cursor, limit=250)
            ).unwrap()
            listed += [entry["key"] for entry in page["objects"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert listed == sorted(expected)
        running.wait_until_idle(client)
        totals = client.ledger.totals()
        assert (totals["open"], totals["running"], totals["dead_letters"]) == (0, 0, 0)
        assert totals["done"] == totals["accepted"]


def _kill_all(running: RunningStack) -> None:
    for worker in running.stack.workers:
        worker.kill()
    wait_until(
        lambda: not any(worker.running for worker in running.stack.workers), "workers are dead"
    )
