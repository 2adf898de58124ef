"""Endpoints of DynamoDB that drip, stall or lie: each call ends, with a typed error."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.dynamodb import table as table_module
from signalbox.adapters.dynamodb.name_page import MAX_REQUESTS
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.error import IntegrityMismatch, SignalboxError, Throttled, Unavailable
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.tabular_store import ListTables
from signalbox.testing.metrics_caller import MetricsCaller, point
from signalbox.testing.store_caller import StoreCaller
from signalbox.testing.stream_caller import StreamCaller
from signalbox.testing.table_caller import TableCaller
from tests.hostile.server import Behaviour, Visit, answer, serve
from tests.hostile.slow import SLOW, drips_the_body

SHORT = 0.5
"""Seconds of a request, where it is to run out."""
DESKS: dict[ResourceKind, type[StoreCaller]] = {
    ResourceKind.TABULAR_STORE: TableCaller,
    ResourceKind.METRICS_STORE: MetricsCaller,
    ResourceKind.EVENT_STREAM: StreamCaller,
}
Answer = Callable[[dict[str, Any]], Any]


def caller(kind: ResourceKind, endpoint: str, tmp_path: Path) -> Any:
    credentials = tmp_path / "credentials.ini"
    credentials.write_text("[default]\naws_access_key_id = A\naws_secret_access_key = s\n")
    config = {
        "table": "storage",
        "region": "eu-west-1",
        "endpoint_url": endpoint,
        "credentials_file": str(credentials),
    }
    scope = Scope(kind=kind, tenant_id="t_a", env="dev")
    store = find_backend(kind, "dynamodb").open(AdapterContext(scope, Mode.LAB, config))
    return DESKS[kind](store, "t_a", "dev", DirectoryPayloadStore(tmp_path))


def table_at(endpoint: str, tmp_path: Path) -> TableCaller:
    made: TableCaller = caller(ResourceKind.TABULAR_STORE, endpoint, tmp_path)
    return made


def says(make: Answer, status: int = 200) -> Behaviour:
    """Answers each request with what `make` makes of it."""

    def behave(visit: Visit) -> None:
        made = make(json.loads(visit.take()))
        body = made if isinstance(made, bytes) else json.dumps(made).encode()
        visit.send(
            answer(status, headers={"Content-Type": "application/x-amz-json-1.0"}, body=body)
        )

    return behave


def always(said: Any) -> Answer:
    return lambda _: said


def item(pk: str, sk: bytes, **attributes: Any) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"B": base64.b64encode(sk).decode()}, **attributes}


def row(key: str = "ann", **attributes: Any) -> dict[str, Any]:
    whole = {"seq": {"N": "7"}, "row": {"S": "{}"}} | attributes
    return item("t_a/dev/row/people", key.encode(), **whole)


@pytest.mark.parametrize("behaviour", SLOW, ids=lambda each: each.__name__)
def test_a_call_ends_with_its_second_attempt_and_counts_as_one_that_hung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour
) -> None:
    monkeypatch.setattr("signalbox.adapters.deadline.REQUEST_SECONDS", SHORT)
    with serve(behaviour) as server:
        table = table_at(server.endpoint, tmp_path)
        big = {"x": "x" * 300_000}
        asks: list[Callable[[Call], object]] = [
            lambda call: table.get("ann", call=call),
            lambda call: table.upsert("ann", big, call=call),
        ]
        for number, ask in enumerate(asks):
            with pytest.raises(Unavailable) as refused:
                ask(table.call(seconds=3600))
            assert (refused.value.backend_type, refused.value.tenant_id) == ("dynamodb", "t_a")
            assert refused.value.next_step
            # botocore's second attempt has no time of its own.
            assert len(server.visits) <= number + 1


def test_a_call_ends_with_its_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalbox.adapters.deadline.REQUEST_SECONDS", 3600.0)
    with serve(says(lambda _: {"Item": row()})) as server:
        table = table_at(server.endpoint, tmp_path)
        assert table.get("ann").revision == 7
        server.behaviour = drips_the_body
        with pytest.raises(Unavailable):
            table.page(call=table.call(seconds=3))


@pytest.mark.parametrize(
    "found",
    [
        row("bob"),
        item("t_b/dev/row/people", b"ann", seq={"N": "7"}, row={"S": "{}"}),
        {"seq": {"N": "7"}, "row": {"S": "{}"}},
        {"pk": {"N": "7"}, "sk": {"S": "ann"}},
        row(row={"S": "{"}),
        row(row={"S": "[" * 100_000}),
        row(row={"S": "[]"}),
        row(row={"N": "7"}),
        row(row={"S": '{"a":{"$bytes":"%"}}'}),
        row(seq={"S": "x"}),
        row(seq={"N": "x"}),
        row(seq={}),
    ],
    ids=str,
)
def test_a_row_that_was_not_asked_for_or_is_none_is_an_error_for_good(
    tmp_path: Path, found: dict[str, Any]
) -> None:
    with serve(says(lambda _: {"Item": found})) as server:
        with pytest.raises(IntegrityMismatch) as refused:
            table_at(server.endpoint, tmp_path).get("ann")
        assert refused.value.backend_type == "dynamodb"
        assert refused.value.next_step


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"7", b'"x"', b"null", b"\xff", b"[" * 100_000),
        *(b'{"Item": 7}', b'{"Item": {"pk": 7}}', b'{"Item": {"pk": {"B": "%"}}}'),
        *(b'{"Item": {"pk": {"M": []}}}', b'{"Item": []}', b"<a/>"),
    ],
    ids=lambda body: repr(body)[:24],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_makes_no_sense_is_typed(tmp_path: Path, body: bytes, status: int) -> None:
    with serve(says(lambda _: body, status)) as server:
        table = table_at(server.endpoint, tmp_path)
        for ask in (table.get, table.upsert, table.delete):
            try:
                ask("ann", call=table.call(seconds=60))
            except SignalboxError as refused:
                assert refused.backend_type == "dynamodb"  # noqa: PT017
                assert refused.next_step  # noqa: PT017
            else:
                assert status == 200


def test_a_page_holds_what_was_asked_for_in_its_order(tmp_path: Path) -> None:
    odd = (
        [item("t_b/dev/row/people", b"a", seq={"N": "7"}, row={"S": "{}"})],
        [row("b"), row("a")],
        [row("a"), row("a")],
        [{"seq": {"N": "7"}}],
    )
    for items in odd:
        with serve(says(always({"Items": items}))) as server:
            table = table_at(server.endpoint, tmp_path)
            with pytest.raises(IntegrityMismatch):
                table.page(call=table.call(seconds=3600))


@pytest.mark.parametrize("items", [[], [row("a")]], ids=["empty pages", "full pages"])
def test_pages_that_lead_nowhere_end_the_walk(tmp_path: Path, items: list[Any]) -> None:
    page = {"Items": items, "LastEvaluatedKey": item("t_a/dev/row/people", b"a")}
    with serve(says(lambda _: page)) as server:
        table = table_at(server.endpoint, tmp_path)
        with pytest.raises(IntegrityMismatch):
            table.page(("n", "eq", 1), call=table.call(seconds=3600))


def test_what_is_left_undone_is_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a foreign item nor another content under our key is sent again."""
    monkeypatch.setattr(table_module, "PAUSE", 1e-4)
    sent: list[Any] = []

    def behave(request: dict[str, Any]) -> Any:
        puts = request["RequestItems"]["storage"]
        sent.append(puts)
        changed = [put["PutRequest"]["Item"] | {"value": {"B": "AAAA"}} for put in puts]
        return {
            "UnprocessedItems": {"storage": [{"PutRequest": {"Item": each}} for each in changed]}
        }

    with serve(says(behave)) as server:
        metrics: MetricsCaller = caller(ResourceKind.METRICS_STORE, server.endpoint, tmp_path)
        with pytest.raises(Throttled):
            metrics.ingest(point(1))
        assert len(sent) > 1
        assert all(puts == sent[0] for puts in sent)
    foreign = {"PutRequest": {"Item": item("t_b/dev/row/people", b"a")}}
    with serve(says(lambda _: {"UnprocessedItems": {"storage": [foreign]}})) as server:
        metrics = caller(ResourceKind.METRICS_STORE, server.endpoint, tmp_path)
        with pytest.raises(IntegrityMismatch):
            metrics.ingest(point(1))


@pytest.mark.parametrize(
    "reasons", [[], [{"Code": "None"}] * 3, [{"Code": "ConditionalCheckFailed"}] * 2], ids=len
)
def test_reasons_that_do_not_fit_the_transaction_are_typed(
    tmp_path: Path, reasons: list[Any]
) -> None:
    said = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "CancellationReasons": reasons,
    }
    with serve(says(lambda _: said, 400)) as server:
        table = table_at(server.endpoint, tmp_path)
        call = table.call(seconds=60)
        for end in table.store.upsert_many([table.item(key, call=call) for key in "ab"]):
            assert isinstance(end, SignalboxError)
            assert end.temporary


def test_events_that_were_not_asked_for_are_refused(tmp_path: Path) -> None:
    def event(pk: str = "t_a/dev/event/orders\x1f0", **fields: Any) -> Any:
        whole = {
            "version": {"N": "1"},
            "id": {"S": "i"},
            "type": {"S": "t"},
            "data": {"S": "{}"},
            "recorded_at": {"S": "2026-01-01T00:00:00+00:00"},
        }
        return item(pk, bytes([0, 0, 0, 0, 0, 0, 0, 1]), **whole | fields)

    odd = (
        event(pk="t_b/dev/event/orders\x1f0"),
        event(recorded_at={"S": "yesterday"}),
        event(data={"S": "{"}),
        event(id={"N": "7"}),
        event(version={"S": "1"}),
    )
    for found in odd:
        with serve(says(always({"Items": [found]}))) as server:
            stream: StreamCaller = caller(ResourceKind.EVENT_STREAM, server.endpoint, tmp_path)
            with pytest.raises(IntegrityMismatch):
                stream.read()


def test_a_scan_for_names_gives_those_that_were_asked_for(tmp_path: Path) -> None:
    odd = (
        [item("t_b/dev/row/people", b"a")],
        [item("t_a/dev/day/people", b"a")],
        [item("t_a/dev/row/", b"a")],
        [item("t_a/dev/row/a\nb", b"a")],
        [item("t_a/dev/row/\ud800", b"a")],
        [item("t_a/dev/row/" + "x" * 300, b"a")],
        [{"pk": {"S": "t_a/dev/row/people"}}],
    )
    for items in odd:
        with serve(says(always({"Items": items}))) as server:
            table = table_at(server.endpoint, tmp_path)
            command = ListTables(**table.scope_fields, allow_scan=True)
            with pytest.raises(IntegrityMismatch) as refused:
                table.store.list_tables(command, table.call())
            assert refused.value.backend_type == "dynamodb"


def test_a_scan_without_an_end_ends(tmp_path: Path) -> None:
    again = {"Items": [row()], "LastEvaluatedKey": item("t_a/dev/row/people", b"ann")}
    with serve(says(always(again))) as server:
        table = table_at(server.endpoint, tmp_path)
        command = ListTables(**table.scope_fields, allow_scan=True)
        page = table.store.list_tables(command, table.call())
        assert page.tables == ["people"]
        assert len(server.visits) == MAX_REQUESTS
        with pytest.raises(Unavailable, match="does not advance"):
            table.store.list_tables(
                command.model_copy(update={"cursor": page.next_cursor}), table.call()
            )
