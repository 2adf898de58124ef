"""Standard input line by line: what is stored, what is reported, and what a crash leaves."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from commands.scope import ResourceKind
from tests.integration.command_line import COMMAND, answer, json_lines, run
from tests.integration.conftest import Lane, lane, wait_until

TENANT = "t_ingest"
HERE = ["-t", TENANT, "-e", "dev"]
LINES = 5000


@pytest.fixture(scope="module")
def routed(two_workers: Lane) -> Lane:
    route(two_workers)
    return two_workers


def route(running: Lane) -> None:
    for kind in (
        ResourceKind.TABULAR_STORE,
        ResourceKind.METRICS_STORE,
        ResourceKind.EVENT_STREAM,
    ):
        running.route_to_folder(TENANT, kind=kind)


def row(number: int, size: int = 10) -> dict[str, Any]:
    return {"key": f"k{number:05}", "data": {"number": number, "text": "x" * size}}


def event(number: int) -> dict[str, Any]:
    return {"type": "counted", "data": {"number": number}}


def numbers_in(table: str) -> list[int]:
    rows = answer("table", "query", table, "--limit", "100000", *HERE)["rows"]
    return [entry["data"]["number"] for entry in rows]


def numbers_of(stream: str) -> list[int]:
    events = answer("events", "read", stream, "--limit", "100000", *HERE)["events"]
    assert [entry["version"] for entry in events] == list(range(1, len(events) + 1))
    return [entry["data"]["number"] for entry in events]


def test_a_malformed_line_ends_the_input_and_what_stands_before_it_is_stored(
    routed: Lane,
) -> None:
    good = [row(number) for number in range(700)]
    stdin = json_lines(good) + b'\n{"key": "bad"}\n' + json_lines([row(9999)])
    result = run("table", "upsert", "stopped", "-", *HERE, stdin=stdin)
    assert result.returncode == 1
    assert b"700 of 700 lines stored" in result.stdout
    message = result.stderr.decode()
    assert message.startswith("INVALID_COMMAND line 702: it has no 'data'"), message
    assert numbers_in("stopped") == list(range(700))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"no json", "INVALID_COMMAND"),
        (b'{"key": "", "data": {}}', "INVALID_KEY"),
        (b'{"key": "k", "data": {"n": 9223372036854775808}}', "INVALID_COMMAND"),
        (b'{"key": "k", "data": {}, "op_id": "a/b"}', "INVALID_COMMAND"),
        (b'{"key": "k", "data": {}, "if_absent": true, "if_revision": 1}', "INVALID_COMMAND"),
    ],
)
def test_what_is_no_row_is_refused_with_its_line(routed: Lane, line: bytes, code: str) -> None:
    result = run("table", "upsert", "none", "-", *HERE, stdin=line)
    assert result.returncode == 1
    assert result.stderr.decode().startswith(f"{code} line 1: ")
    assert b"0 of 0 lines stored" in result.stdout


def test_a_point_that_is_none_ends_the_input_and_the_group_before_it_is_stored(
    routed: Lane,
) -> None:
    def point(minute: int, value: float) -> dict[str, Any]:
        return {"series": "cpu", "timestamp": f"2026-01-31T12:{minute:02}:00Z", "value": value}

    # The same point twice: the later line counts.
    stdin = json_lines([point(0, 1), point(1, 1), point(0, 2)]) + b'{"series": "cpu"}\n'
    result = run("metrics", "ingest", "-", *HERE, stdin=stdin)
    assert result.returncode == 1
    assert b"3 of 3 lines stored" in result.stdout
    assert result.stderr.decode().startswith("INVALID_COMMAND line 4: ")
    noon = ["--from", "2026-01-31T12:00:00Z", "--to", "2026-01-31T13:00:00Z"]
    points = answer("metrics", "query", "cpu", *noon, *HERE)["points"]
    assert [entry["value"] for entry in points] == [2, 1]


def test_a_failed_line_is_reported_and_the_others_are_stored(routed: Lane) -> None:
    twice = [row(1) | {"if_absent": True}, row(1) | {"if_absent": True}, row(2)]
    result = run("table", "upsert", "failed", "-", *HERE, stdin=json_lines(twice))
    assert result.returncode == 1
    assert b"2 of 3 lines stored, 1 failed" in result.stdout
    assert b"line 2: ALREADY_EXISTS" in result.stderr
    counts = run("table", "upsert", "failed", "-", *HERE, "--json", stdin=json_lines(twice))
    assert json.loads(counts.stdout) == {"sent": 3, "stored": 1, "failed": 2, "open": 0}
    reports = [json.loads(line) for line in counts.stderr.splitlines()]
    assert [report["first"] for report in reports] == [1, 2]


def test_the_same_lines_under_the_same_prefix_have_one_effect(routed: Lane) -> None:
    # Without an id of their own, so that only the op_id can tell.
    stdin = json_lines(event(number) for number in range(3))
    for _ in range(2):
        result = run("events", "append", "once", "-", *HERE, "--op-prefix", "p1", stdin=stdin)
        assert b"3 of 3 lines stored" in result.stdout, result.stderr
    assert numbers_of("once") == [0, 1, 2]
    other = json_lines([event(0), event(7)])
    result = run("events", "append", "once", "-", *HERE, "--op-prefix", "p1", stdin=other)
    assert result.returncode == 1
    assert b"line 2: OP_ID_REUSED" in result.stderr
    assert numbers_of("once") == [0, 1, 2]


def test_lines_that_come_slowly_are_stored_as_they_come(routed: Lane) -> None:
    arguments = ["events", "append", "slow", "-", *HERE]
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        for number in range(3):
            process.stdin.write(json_lines([event(number)]))
            process.stdin.flush()
            wait_until(lambda n=number: numbers_of("slow") == list(range(n + 1)), "it is there")  # type: ignore[misc]
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_tail_prints_events_as_they_come_and_ends_by_ctrl_c(routed: Lane, tmp_path: Path) -> None:
    for number in range(3):
        answer("events", "append", "tailed", "counted", json.dumps({"number": number}), *HERE)
    everything, news = tmp_path / "everything", tmp_path / "news"
    with follower("tailed", everything) as one, follower("tailed", news, "--from-now") as two:
        wait_until(lambda: len(everything.read_bytes().splitlines()) == 3, "the tail is at the end")
        with routed.client() as client:
            # The second has found the end when it reads behind it.
            counts = client.ledger.totals
            before = counts()["accepted"]
            wait_until(lambda: counts()["accepted"] > before + 12, "both follow")
        answer("events", "append", "tailed", "counted", '{"number": 3}', *HERE)
        wait_until(lambda: len(news.read_bytes().splitlines()) == 1, "the news")
        wait_until(lambda: len(everything.read_bytes().splitlines()) == 4, "the fourth")
        for process in (one, two):
            process.send_signal(2)
            assert process.wait(30) == 130
    assert [json.loads(line)["version"] for line in news.read_bytes().splitlines()] == [4]
    shown = everything.read_bytes().splitlines()
    assert [json.loads(line)["data"]["number"] for line in shown] == [0, 1, 2, 3]


@contextmanager
def follower(stream: str, sink: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [*COMMAND, "events", "tail", stream, *HERE, "--json", *more]
    with sink.open("wb") as output, subprocess.Popen(arguments, stdout=output) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["rows", "events"])
def test_every_line_is_there_once_after_a_worker_was_killed(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "lines"
    make, words = {
        "rows": (row, ["table", "upsert", "killed", "-"]),
        "events": (event, ["events", "append", "killed", "-"]),
    }[kind]
    source.write_bytes(json_lines(make(number) for number in range(LINES)))
    with lane(tmp_path / "stack", workers=2) as running, running.client() as client:
        route(running)
        with source.open("rb") as stdin:
            process = subprocess.Popen(
                [*COMMAND, *words, *HERE, "--op-prefix", "import"],
                stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        wait_until(lambda: client.ledger.totals().get("done", 0) > LINES // 10, "a part is stored")
        running.stack.workers[0].kill()
        assert client.ledger.totals()["open"] > 0, "killed too late to mean anything"
        output, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors.decode()
        assert f"{LINES} of {LINES} lines stored" in output.decode()
        running.wait_until_idle(client)
        found = numbers_in("killed") if kind == "rows" else numbers_of("killed")
        assert found == list(range(LINES))
        totals = client.ledger.totals()
        assert (totals["open"], totals["dead_letters"]) == (0, 0)


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    sys.platform != "linux", reason="limits the files of a running worker: run it on Linux"
)
def test_what_was_acknowledged_before_the_disk_was_full_is_there_and_the_store_goes_on(
    tmp_path: Path,
) -> None:
    rows = [row(number, size=1000) for number in range(1500)]
    with lane(tmp_path / "stack", workers=2) as running, running.client() as client:
        route(running)
        assert answer("table", "upsert", "full", "-", *HERE, stdin=json_lines(rows[:1]))["stored"]
        pids = [worker.pid for worker in running.stack.workers]
        # A file that may not grow over this is, to whoever writes it, a disk that is full.
        limits(pids, 600 * 1024)
        result = run("table", "upsert", "full", "-", *HERE, "--json", stdin=json_lines(rows))
        assert result.returncode == 1, "the disk was never full"
        reports = [json.loads(line) for line in result.stderr.splitlines()]
        failed = {report["first"] - 1 for report in reports}
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
