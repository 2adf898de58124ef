"""Endpoints of Firestore that drip, stall or lie: each call ends, with a typed error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.firestore.message import set_value
from signalbox.adapters.firestore.name_page import MAX_REQUESTS
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.error import IntegrityMismatch, SignalboxError, Unavailable
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.tabular_store import ListTables
from signalbox.testing.stream_caller import StreamCaller
from signalbox.testing.table_caller import TableCaller
from tests.hostile import server as plain_server
from tests.hostile.firestore_server import Behaviour, DocumentPb, got, listed, serve, walked
from tests.hostile.server import Visit

SHORT = 0.5
"""Seconds of a request, where it is to run out."""
ROOT = "projects/project-lab/databases/(default)/documents/tenants/t_a/envs/dev"
ANN = f"{ROOT}/tables/npeople/rows/k616e6e"


def context(kind: ResourceKind, host: str) -> AdapterContext:
    scope = Scope(kind=kind, tenant_id="t_a", env="dev")
    return AdapterContext(scope, Mode.LAB, {"project": "project-lab", "emulator_host": host})


def table_at(host: str, tmp_path: Path) -> TableCaller:
    kind = ResourceKind.TABULAR_STORE
    store = find_backend(kind, "firestore").open(context(kind, host))
    return TableCaller(store, "t_a", "dev", DirectoryPayloadStore(tmp_path))


def row(name: str = ANN, *without: str, **changed: Any) -> Any:
    made = DocumentPb(name=name)
    for field, value in ({"key": "ann", "seq": 7} | changed).items():
        set_value(made.fields[field], value)
    if "data" not in changed:
        made.fields["data"].map_value.SetInParent()
    for field in without:
        del made.fields[field]
    return made


def always(*answers: Any) -> Behaviour:
    return lambda *_: iter(answers)


def says_nothing(visit: Visit) -> None:
    visit.wait()


def stalls(method: str, request: Any, ended: threading.Event) -> Any:
    ended.wait()


def drips(method: str, request: Any, ended: threading.Event) -> Iterator[Any]:
    """Answers without a document, for ever."""
    while not ended.wait(0.02):
        yield b""


def floods(method: str, request: Any, ended: threading.Event) -> Iterator[Any]:
    while not ended.is_set():
        yield b""


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalbox.adapters.firestore.database.CALL_SECONDS", SHORT)


@pytest.mark.parametrize("behaviour", [stalls, drips, floods], ids=lambda each: each.__name__)
def test_a_call_ends_and_counts_as_one_that_hung(
    tmp_path: Path, short: None, behaviour: Behaviour
) -> None:
    with serve(behaviour) as host:
        table = table_at(host, tmp_path)
        asks: list[Callable[[Call], object]] = [
            lambda call: table.get("ann", call=call),
            lambda call: table.upsert("ann", call=call),
            lambda call: table.page(call=call),
        ]
        for ask in asks:
            with pytest.raises(Unavailable) as refused:
                ask(table.call(seconds=3600))
            assert (refused.value.backend_type, refused.value.tenant_id) == ("firestore", "t_a")


def test_what_speaks_no_http_2_is_not_waited_for(tmp_path: Path, short: None) -> None:
    with plain_server.serve(says_nothing) as server:
        table = table_at(server.endpoint.removeprefix("http://"), tmp_path)
        with pytest.raises(Unavailable):
            table.get("ann", call=table.call(seconds=3600))


def test_a_write_that_is_never_answered_ends(tmp_path: Path, short: None) -> None:
    def behave(method: str, request: Any, ended: threading.Event) -> Any:
        return iter(()) if method == "BatchGetDocuments" else stalls(method, request, ended)

    with serve(behave) as host:
        table = table_at(host, tmp_path)
        with pytest.raises(Unavailable):
            table.upsert("ann", call=table.call(seconds=3600))


@pytest.mark.parametrize(
    "found",
    [
        row(f"{ROOT}/tables/npeople/rows/k626f62"),
        row(ANN.replace("t_a", "t_b")),
        row(ANN, "seq"),
        row(ANN, "key"),
        row(seq="x"),
        row(key=7),
        row(data=7),
    ],
    ids=["another row", "another tenant's", "no seq", "no key", "seq", "key", "data"],
)
def test_a_row_that_was_not_asked_for_or_is_none_is_an_error_for_good(
    tmp_path: Path, found: Any
) -> None:
    with serve(always(got(found))) as host:
        with pytest.raises(IntegrityMismatch) as refused:
            table_at(host, tmp_path).get("ann")
        assert refused.value.backend_type == "firestore"
        assert refused.value.next_step


def test_values_that_we_do_not_store_are_refused(tmp_path: Path) -> None:
    for kind in ("geo_point_value", "array_value", "map_value"):
        found = row()
        getattr(found.fields["data"].map_value.fields["a"], kind).SetInParent()
        with (
            serve(always(got(found))) as host,
            pytest.raises(IntegrityMismatch),
        ):
            table_at(host, tmp_path).get("ann")


@pytest.mark.parametrize("spelled", [b"\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f"], ids=repr)
def test_an_answer_that_makes_no_sense_is_typed(tmp_path: Path, spelled: bytes) -> None:
    with serve(always(spelled)) as host:
        table = table_at(host, tmp_path)
        with pytest.raises(SignalboxError) as refused:
            table.get("ann", call=table.call(seconds=30))
        assert refused.value.backend_type == "firestore"


def test_a_walk_gets_what_it_asked_for_and_no_more(tmp_path: Path) -> None:
    odd = (
        [row(ANN.replace("t_a", "t_b"))],
        [row(), row()],
        [row(f"{ANN}{number:08x}") for number in range(400)],
    )
    for documents in odd:
        with serve(always(*map(walked, documents))) as host:
            table = table_at(host, tmp_path)
            with pytest.raises(IntegrityMismatch):
                table.page(("n", "eq", [1]), call=table.call(seconds=3600))


def test_events_come_one_after_the_other(tmp_path: Path) -> None:
    found = DocumentPb(name=f"{ROOT}/streams/norders/events/nx")
    for field, value in {"version": 3, "id": "x", "type": "t", "data": "{}"}.items():
        set_value(found.fields[field], value)
    found.fields["recorded_at"].timestamp_value.seconds = 1
    kind = ResourceKind.EVENT_STREAM
    with serve(always(walked(found))) as host:
        store = find_backend(kind, "firestore").open(context(kind, host))
        stream = StreamCaller(store, "t_a", "dev", DirectoryPayloadStore(tmp_path))
        with pytest.raises(IntegrityMismatch):
            stream.read(after=1)


@pytest.mark.parametrize(
    "names",
    [
        [f"{ROOT}/tables/npeople", f"{ROOT}/tables/npeople"],
        [f"{ROOT.replace('t_a', 't_b')}/tables/npeople"],
        [f"{ROOT}/series/npeople"],
        [f"{ROOT}/tables/npeople/rows/k61"],
        [f"{ROOT}/tables/people"],
        [f"{ROOT}/tables/n=0A"],
        [f"{ROOT}/tables/n=C3"],
        [f"{ROOT}/tables/n=61"],
        [f"{ROOT}/tables/n=zz"],
        [f"{ROOT}/tables/né"],
        [f"{ROOT}/tables/n"],
        [f"{ROOT}/tables/n{number}" for number in range(301)],
    ],
    ids=lambda names: names[-1].rpartition("/")[2],
)
def test_a_name_that_was_not_asked_for_or_is_none_is_an_error_for_good(
    tmp_path: Path, names: list[str]
) -> None:
    with serve(lambda *_: listed(*names)) as host:
        table = table_at(host, tmp_path)
        with pytest.raises(IntegrityMismatch) as refused:
            table.store.list_tables(ListTables(**table.scope_fields), table.call())
        assert refused.value.backend_type == "firestore"
        assert refused.value.next_step


def test_a_list_of_names_that_does_not_advance_ends(tmp_path: Path) -> None:
    asked: list[str] = []

    def behave(method: str, request: Any, ended: threading.Event) -> Any:
        asked.append(type(request).pb(request).page_token)
        return listed(token="again")

    with serve(behave) as host:
        table = table_at(host, tmp_path)
        page = table.store.list_tables(ListTables(**table.scope_fields), table.call())
        assert page.tables == []
        with pytest.raises(Unavailable):
            table.store.list_tables(
                ListTables(**table.scope_fields, cursor=page.next_cursor), table.call()
            )
    assert len(asked) <= 2 * MAX_REQUESTS
