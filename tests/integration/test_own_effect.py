"""A worker dies when all effects of its message are done: whoever takes the commands over knows
their effects as theirs, and reports no condition as broken by them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.ledger.dead import Which
from signalbox.commands.metrics_store import IngestPoints, Point
from signalbox.commands.model import Command
from signalbox.commands.object_store import (
    Condition,
    DeleteObject,
    ListObjects,
    PutObject,
    RegisterObject,
)
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import DeleteRow, GetRow, QueryRows, RowCondition, UpsertRow
from signalbox.producers.client.client import Client
from tests.integration.conftest import TIMEOUT, RunningStack, start_stack, wait_until

HERE: dict[str, Any] = {"tenant_id": "t_own", "env": "dev"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with start_stack(tmp_path_factory.mktemp("stack"), workers=1, kills_workers=True) as running:
        for kind in ResourceKind:
            running.route_to_folder(HERE["tenant_id"], kind=kind)
        yield running


def put(key: str, **condition: Any) -> PutObject:
    payload, condition_ = InlinePayload(data=b"x"), Condition(**condition)
    return PutObject(**HERE, key=key, payload=payload, condition=condition_)


def upsert(key: str, **condition: Any) -> UpsertRow:
    condition_ = RowCondition(**condition)
    return UpsertRow(**HERE, table_name="t", key=key, data={"n": 1}, condition=condition_)


def delete(key: str, revision: int) -> DeleteRow:
    return DeleteRow(**HERE, table_name="t", key=key, if_revision=revision)


def only_worker(running: RunningStack, monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Replace the worker by one with these settings."""
    for worker in running.stack.workers:
        worker.kill()
    wait_until(lambda: not any(w.running for w in running.stack.workers), "the worker is dead")
    running.stack.workers.clear()
    with monkeypatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(f"SIGNALBOX_{name}", value)
        running.stack.start_worker()


def done_though_it_died(
    running: RunningStack, client: Client, monkeypatch: pytest.MonkeyPatch, commands: list[Command]
) -> list[dict[str, Any]]:
    """The results of one message's commands whose worker died with all effects done."""
    only_worker(running, monkeypatch, FAULTS="effect.after=kill")
    submissions = client.submit_many(commands)
    wait_until(lambda: not running.stack.workers[0].running, "the worker died")
    only_worker(running, monkeypatch)
    outcomes = client.wait(submissions, TIMEOUT)
    results = [outcome.unwrap() for outcome in outcomes if outcome is not None]
    assert len(results) == len(commands)
    # On a busy machine some are finished before the others of their message have run, and the lease
    # of the second worker may go by as well.
    assert any(outcome.attempt >= 2 for outcome in outcomes if outcome is not None)
    return results


def test_objects(running: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    with running.client() as client:
        seen = {key: client.run_outcome(put(key)).unwrap()["etag"] for key in ("a", "b", "c")}
        commands: list[Command] = [
            put("a", if_match=seen["a"]),
            DeleteObject(**HERE, key="a"),
            DeleteObject(**HERE, key="b", if_match=seen["b"]),
            put("c", if_match=seen["c"]),
            RegisterObject(**HERE, key="c", size_bytes=1),
            put("new", if_absent=True),
        ]
        results = done_though_it_died(running, client, monkeypatch, commands)
        assert [result["superseded"] for result in results] == [True] + [False] * 5
        page = client.run_outcome(ListObjects(**HERE)).unwrap()
        assert [(entry["key"], entry["etag"]) for entry in page["objects"]] == [
            ("c", results[3]["etag"]),
            ("new", results[5]["etag"]),
        ]


def test_rows(running: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    with running.client() as client:
        seen = {
            key: client.run_outcome(upsert(key)).unwrap()["revision"] for key in ("a", "b", "c")
        }
        commands: list[Command] = [
            upsert("a", if_revision=seen["a"]),
            DeleteRow(**HERE, table_name="t", key="a"),
            delete("b", seen["b"]),
            upsert("c", if_revision=seen["c"]),
            upsert("new", if_absent=True),
        ]
        results = done_though_it_died(running, client, monkeypatch, commands)
        assert [result["superseded"] for result in results] == [True] + [False] * 4
        page = client.run_outcome(QueryRows(**HERE, table_name="t")).unwrap()
        assert [(row["key"], row["revision"]) for row in page["rows"]] == [
            ("c", results[3]["revision"]),
            ("new", results[4]["revision"]),
        ]


def test_points_and_events(running: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    with running.client() as client:
        point = Point(series="s", timestamp=datetime(2026, 1, 1, tzinfo=UTC), value=1)
        ingest = IngestPoints(**HERE, points=[point])
        assert done_though_it_died(running, client, monkeypatch, [ingest])[0]["points"] == 1
        events: list[Command] = [
            AppendEvent(**HERE, stream="s", event=Event(type="e"), expected_version=version)
            for version in range(3)
        ]
        results = done_though_it_died(running, client, monkeypatch, events)
        assert [(r["version"], r["duplicate"]) for r in results] == [
            (n + 1, False) for n in (0, 1, 2)
        ]


def test_a_replay_of_what_had_its_effect_is_done(
    running: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running.client() as client:
        command = upsert("dead", if_absent=True)
        only_worker(running, monkeypatch, FAULTS="effect.after=kill")
        client.submit(command)
        wait_until(lambda: not running.stack.workers[0].running, "the worker died")
        only_worker(running, monkeypatch, MAX_DEATHS="1")
        letters = Which(tenant_id=HERE["tenant_id"])
        wait_until(lambda: bool(list(client.dead.find(letters))), "it is a dead letter")
        client.replay([command.ref])
        running.wait_until_idle(client)
        [outcome] = client.ledger.outcomes([command.ref])
        assert outcome is not None
        row = client.run_outcome(GetRow(**HERE, table_name="t", key="dead")).unwrap()
        result = outcome.unwrap()
        assert (result["revision"], result["superseded"]) == (row["revision"], False)
