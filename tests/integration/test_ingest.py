"""Standard input line by line: what is stored, and what is reported."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from signalbox.commands.model import new_op_id
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.producers.cli.main import app
from signalbox.routing.registry.change import Change
from tests.integration.command_line import COMMAND, answer, json_lines, run
from tests.integration.conftest import TIMEOUT, RunningStack, wait_until
from tests.integration.line_source import HERE, TENANT, event, numbers_in, numbers_of, route, row

STREAMS = Scope(kind=ResourceKind.EVENT_STREAM, tenant_id=TENANT, env="dev")


@pytest.fixture(scope="module")
def routed(two_workers: RunningStack) -> RunningStack:
    route(two_workers)
    return two_workers


def test_a_malformed_line_ends_the_input_and_what_stands_before_it_is_stored(
    routed: RunningStack,
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
def test_what_is_no_row_is_refused_with_its_line(
    routed: RunningStack, line: bytes, code: str
) -> None:
    result = run("table", "upsert", "none", "-", *HERE, stdin=line)
    assert result.returncode == 1
    assert result.stderr.decode().startswith(f"{code} line 1: ")
    assert b"0 of 0 lines stored" in result.stdout


def test_a_point_that_is_none_ends_the_input_and_the_group_before_it_is_stored(
    routed: RunningStack,
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


def test_a_failed_line_is_reported_and_the_others_are_stored(routed: RunningStack) -> None:
    twice = [row(1) | {"if_absent": True}, row(1) | {"if_absent": True}, row(2)]
    result = run("table", "upsert", "failed", "-", *HERE, stdin=json_lines(twice))
    assert result.returncode == 1
    assert b"2 of 3 lines stored, 1 failed" in result.stdout
    assert b"line 2: ALREADY_EXISTS" in result.stderr
    counts = run("table", "upsert", "failed", "-", *HERE, "--json", stdin=json_lines(twice))
    assert json.loads(counts.stdout) == {"sent": 3, "stored": 1, "failed": 2, "open": 0}
    reports = [json.loads(line) for line in counts.stderr.splitlines()]
    assert [report["first"] for report in reports] == [1, 2]


def test_the_same_lines_under_the_same_prefix_have_one_effect(routed: RunningStack) -> None:
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


def test_more_lines_than_may_be_open_at_once_wait_their_turn(routed: RunningStack) -> None:
    # One row again and again: what is turned away must not be overtaken by what stands behind it.
    rows = [row(1) | {"data": {"number": number}} for number in range(120)]
    result = run(
        *("table", "upsert", "full", "-", *HERE), stdin=json_lines(rows), SIGNALBOX_MAX_OPEN="50"
    )
    assert result.returncode == 0, result.stderr.decode()
    assert b"120 of 120 lines stored" in result.stdout
    assert numbers_in("full") == [119]


@pytest.mark.parametrize(
    "arguments",
    [
        ("table", "upsert", "t", "k"),
        ("table", "upsert", "t", "-", "--if-absent"),
        ("table", "query", "t", "--where", "age"),
        ("metrics", "ingest", "cpu"),
        ("metrics", "ingest", "cpu", "many"),
        ("metrics", "ingest", "cpu", "1", "--label", "host"),
        ("metrics", "query", "cpu"),
        ("metrics", "query", "cpu", "--last", "5y"),
        ("events", "append", "s", "-", "--id", "one"),
        ("events", "tail", "s", "--after", "1", "--from-now"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_two(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, [*arguments, *HERE]).exit_code == 2


def test_lines_that_come_slowly_are_stored_as_they_come(routed: RunningStack) -> None:
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
        assert process.wait(TIMEOUT.total_seconds()) == 0


def test_a_tail_prints_events_as_they_come_and_ends_by_ctrl_c(
    routed: RunningStack, tmp_path: Path
) -> None:
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
            assert process.wait(TIMEOUT.total_seconds()) == 130
    assert [json.loads(line)["version"] for line in news.read_bytes().splitlines()] == [4]
    shown = everything.read_bytes().splitlines()
    assert [json.loads(line)["data"]["number"] for line in shown] == [0, 1, 2, 3]


def test_a_tail_ends_where_its_route_leads_to_other_events(
    routed: RunningStack, tmp_path: Path
) -> None:
    for number in range(2):
        answer("events", "append", "moved", "counted", json.dumps({"number": number}), *HERE)
    with follower("moved", tmp_path / "printed") as process:
        printed = tmp_path / "printed"
        wait_until(lambda: len(printed.read_bytes().splitlines()) == 2, "what is there")
        before = routed.registry().get(STREAMS)
        assert before is not None
        routed.route_to_folder(STREAMS.tenant_id, "elsewhere", ResourceKind.EVENT_STREAM)
        try:
            assert process.wait(TIMEOUT.total_seconds()) == 1
        finally:
            back = Change(actor="test", reason="test", change_id=new_op_id())
            routed.registry().switch(STREAMS, before.target, back)
    assert len(printed.read_bytes().splitlines()) == 2


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def follower(stream: str, sink: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [*COMMAND, "events", "tail", stream, *HERE, "--json", *more]
    with (
        sink.open("wb") as output,
        # What runs in the background of a shell, as this test may, hears no ctrl-c.
        subprocess.Popen(arguments, stdout=output, preexec_fn=_hear_ctrl_c) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
