"""What DynamoDB leaves undone is asked for again, and what stays undone has its error alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from signalbox.adapters import event_stream
from signalbox.adapters.dynamodb import table
from signalbox.adapters.dynamodb.key import Layout
from signalbox.adapters.dynamodb.point import point_item
from signalbox.commands import error as errors
from signalbox.commands.scope import ResourceKind
from tests.unit.dynamodb.counter import (
    SCOPE,
    append_event,
    cancelled,
    ingest,
    make_call,
    open_store,
    upsert,
)


def test_a_put_that_meets_a_transaction_is_sent_again(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    stub.add_client_error("put_item", "TransactionConflictException", "", 400)
    stub.add_response("put_item", {})
    assert open_store(config).upsert(upsert(), make_call(tmp_path)).revision == 7
    for _ in range(4):
        stub.add_client_error("put_item", "TransactionConflictException", "", 400)
    with pytest.raises(errors.Contended):
        open_store(config).upsert(upsert(), make_call(tmp_path))


def test_a_batch_is_tried_again_without_what_is_refused(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    cancelled(stub, "None", "ValidationError", "TransactionConflict")
    stub.add_response("transact_write_items", {})
    items = [(upsert(f"k{n}"), make_call(tmp_path, seq=n)) for n in (1, 2, 3)]
    first, second, third = open_store(config).upsert_many(items)
    assert (first.revision, third.revision) == (1, 3)
    assert isinstance(second, errors.TooLarge)
    assert (second.tenant_id, second.backend_type) == ("t_demo", "dynamodb")
    stub.assert_no_pending_responses()


def test_what_stays_busy_in_batches_is_done_alone(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    for _ in range(5):
        cancelled(stub, "None", "ThrottlingError")
    stub.add_response("put_item", {})
    stub.add_client_error("put_item", "ThrottlingException", "", 400)
    items = [(upsert(f"k{n}"), make_call(tmp_path, seq=n)) for n in (1, 2)]
    first, second = open_store(config).upsert_many(items)
    assert first.revision == 1
    assert isinstance(second, errors.Throttled)
    stub.assert_no_pending_responses()


def test_a_row_too_large_by_dynamodbs_own_count_fails_alone(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    stub.add_client_error("transact_write_items", "ValidationException", "", 400)
    stub.add_client_error("put_item", "ValidationException", "Item size has exceeded", 400)
    stub.add_response("put_item", {})
    items = [(upsert(f"k{n}"), make_call(tmp_path, seq=n)) for n in (1, 2)]
    first, second = open_store(config).upsert_many(items)
    assert isinstance(first, errors.TooLarge)
    assert second.revision == 2


def test_points_left_unprocessed_are_sent_again(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    [point] = ingest(10).points
    left = {"storage": [{"PutRequest": {"Item": point_item(Layout.of(SCOPE), point, 7)}}]}
    stub.add_response("batch_write_item", {"UnprocessedItems": left})
    stub.add_response("batch_write_item", {"UnprocessedItems": {}}, {"RequestItems": left})
    store = open_store(config, ResourceKind.METRICS_STORE)
    assert store.ingest(ingest(10), make_call(tmp_path)).points == 1
    stub.assert_no_pending_responses()


def test_only_the_command_whose_point_stays_behind_is_throttled(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    store = open_store(config, ResourceKind.METRICS_STORE)
    items = [(ingest(10), make_call(tmp_path, seq=1)), (ingest(11), make_call(tmp_path, seq=2))]
    after = point_item(Layout.of(SCOPE), items[1][0].points[0], 2)
    left = {"storage": [{"PutRequest": {"Item": after}}]}
    for _ in range(table.ROUNDS):
        stub.add_response("batch_write_item", {"UnprocessedItems": left})
    first, second = store.ingest_many(items)
    assert first.points == 1
    assert isinstance(second, errors.Throttled)
    stub.assert_no_pending_responses()


def test_points_that_fail_to_be_stored_fail_every_command_that_has_them(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    stub.add_client_error("batch_write_item", "ResourceNotFoundException", "", 400)
    items = [(ingest(10), make_call(tmp_path, seq=1)), (ingest(10), make_call(tmp_path, seq=2))]
    answers = open_store(config, ResourceKind.METRICS_STORE).ingest_many(items)
    assert [type(answer) for answer in answers] == [errors.Misconfigured] * 2


def test_a_stream_that_stays_busy_is_contended_and_stops_what_is_behind(
    stub: Stubber, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "PAUSE", 1e-4)
    for _ in range(event_stream.LOOKS):
        stub.add_response("batch_get_item", {"Responses": {}})
        cancelled(stub, "ConditionalCheckFailed", *["None"] * 98)
    commands = [append_event() for _ in range(50)]
    items = [(command, make_call(tmp_path, seq=n)) for n, command in enumerate(commands)]
    answers = open_store(config, ResourceKind.EVENT_STREAM).append_many(items)
    assert {type(answer) for answer in answers} == {errors.Contended}
    assert len(answers) == 50
    stub.assert_no_pending_responses()


def test_an_append_for_which_the_table_has_no_capacity_is_throttled(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    stub.add_response("batch_get_item", {"Responses": {}})
    cancelled(stub, "None", "ThrottlingError", "None")
    command = append_event()
    with pytest.raises(errors.Throttled):
        open_store(config, ResourceKind.EVENT_STREAM).append(command, make_call(tmp_path))


def test_a_late_append_stops_its_own_stream_only(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    stub.add_response("batch_get_item", {"Responses": {}})
    stub.add_response("transact_write_items", {})
    names, seconds = ["late", "late", "other"], [-1, 30, 30]
    items = [
        (append_event(name), make_call(tmp_path, left, seq=n))
        for n, (name, left) in enumerate(zip(names, seconds, strict=True))
    ]
    late, after, other = open_store(config, ResourceKind.EVENT_STREAM).append_many(items)
    assert isinstance(late, errors.LeaseExpired)
    assert isinstance(after, errors.LeaseExpired)
    assert other.version == 1
