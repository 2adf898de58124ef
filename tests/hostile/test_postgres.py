"""PostgreSQL servers that drip, stall, never read, never end or lie: each call ends, with a typed
error, and holds up no other server's."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext
from signalbox.adapters.postgres import client
from signalbox.commands.error import IntegrityMismatch, SignalboxError, Unavailable
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.testing.table_caller import TableCaller
from tests.hostile.postgres_server import (
    BOOL,
    BYTEA,
    INT4,
    INT8,
    NUMERIC,
    TEXT,
    Behaviour,
    Greeting,
    Link,
    Rows,
    complete,
    data_row,
    described,
    greet,
    message,
    serve,
)

SCOPE = Scope(kind=ResourceKind.TABULAR_STORE, tenant_id="t_a", env="dev")
ROW = [("key", BYTEA), ("data", TEXT), ("seq", INT8), ("before", NUMERIC)]
SHORT = 0.5
"""Seconds of a request, where it is to run out."""


def caller(config: dict[str, Any], tmp_path: Path) -> TableCaller:
    store = find_backend(SCOPE.kind, "postgres").open(AdapterContext(SCOPE, Mode.LAB, config))
    return TableCaller(store, "t_a", "dev", DirectoryPayloadStore(tmp_path))


def well(link: Link, statement: str) -> bool:
    return False


def on_rows(answer: Any) -> Behaviour:
    """Misbehaves when it is asked for rows."""

    def behave(link: Link, statement: str) -> bool:
        if "FROM rows" not in statement or statement.lstrip().startswith("DELETE"):
            return False
        answer(link)
        return True

    return behave


def rows(*found: Sequence[bytes | None], columns: Any = ROW) -> Behaviour:
    return on_rows(lambda link: link.rows(columns, found))


def drips_rows(link: Link) -> None:
    link.send(described(ROW))
    link.drip(data_row([b"\\x61", b"{}", b"1", b"0"]) * 1000)


def drips_notices(link: Link) -> None:
    while not link.ended.wait(0.02):
        link.send(message(b"N", b"SNOTICE\0C00000\0Mwait\0\0"))


def stalls_in_a_row(link: Link) -> None:
    link.send(described(ROW), b"D" + struct.pack("!i", 100_000))
    link.wait()


def stalls_at_the_start(link: Link) -> None:
    link.wait()


def drips_the_start(link: Link) -> None:
    link.drip(b"R" + struct.pack("!ii", 8, 0) + b"S" + struct.pack("!i", 20_000) + b"a")


def stalls_after_the_password(link: Link) -> None:
    link.take(8)
    link.send(message(b"R", struct.pack("!i", 0)))
    link.wait()


@pytest.mark.parametrize(
    ("behaviour", "greeting"),
    [
        (well, stalls_at_the_start),
        (well, drips_the_start),
        (well, stalls_after_the_password),
        (on_rows(Link.wait), greet),
        (on_rows(drips_rows), greet),
        (on_rows(drips_notices), greet),
        (on_rows(stalls_in_a_row), greet),
        (lambda link, _: bool(link.wait()), greet),
    ],
    ids=[
        *("stalls at the start", "drips the start", "stalls after the password", "stalls"),
        *("drips rows", "drips notices", "stalls in a row", "stalls before the tables"),
    ],
)
def test_a_call_ends_and_counts_as_one_that_hung(
    tmp_path: Path, short: None, behaviour: Behaviour, greeting: Greeting
) -> None:
    with serve(behaviour, greeting) as config:
        table = caller(config, tmp_path)
        for ask in (table.get, table.upsert):
            with pytest.raises(Unavailable, match="too slow") as refused:
                ask("ann", call=table.call(seconds=3600))
            assert (refused.value.backend_type, refused.value.tenant_id) == ("postgres", "t_a")
            assert refused.value.next_step


def test_a_server_that_never_reads_is_cut_off(tmp_path: Path, short: None) -> None:
    def deaf(link: Link, statement: str) -> bool:
        link.deaf_to = "INSERT"
        return False

    with serve(deaf) as config:
        table = caller(config, tmp_path)
        call = table.call(seconds=3600)
        items = [table.item(f"k{number}", {"x": "x" * 900_000}, call=call) for number in range(8)]
        for answer in table.store.upsert_many(items):
            assert isinstance(answer, Unavailable)


@pytest.mark.parametrize(
    ("behaviour", "greeting"),
    [
        (on_rows(Link.wait), greet),
        (lambda link, _: bool(link.wait()), greet),
        (well, stalls_at_the_start),
    ],
    ids=["in a statement", "in the first", "at the start"],
)
def test_a_call_ends_with_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour, greeting: Greeting
) -> None:
    monkeypatch.setattr("signalbox.adapters.deadline.REQUEST_SECONDS", 3600.0)
    monkeypatch.setattr("signalbox.adapters.postgres.connection.CONNECT_SECONDS", 3600.0)
    with serve(behaviour, greeting) as config:
        table = caller(config, tmp_path)
        with pytest.raises(Unavailable, match="too slow"):
            table.get("ann", call=table.call(seconds=3))


@pytest.mark.parametrize("what", ["rows", "one row", "notices", "settings"])
def test_an_answer_without_end_is_cut_off(tmp_path: Path, what: str) -> None:
    pieces = {
        "rows": data_row([b"\\x61", b"x" * 10_000, b"1", b"0"]),
        "one row": b"x" * 65_536,
        "notices": message(b"N", b"SNOTICE\0C00000\0M" + b"x" * 10_000 + b"\0\0"),
        "settings": message(b"S", b"a\0" + b"x" * 10_000 + b"\0"),
    }

    def flood(link: Link) -> None:
        link.send(described(ROW) + (b"D\x0f\xff\xff\xff" if what == "one row" else b""))
        while not link.ended.is_set():
            link.send(pieces[what])

    def greeting(link: Link) -> None:
        if what == "settings":
            link.send(message(b"R", struct.pack("!i", 0)))
            while not link.ended.is_set():
                link.send(pieces[what])
        greet(link)

    with serve(on_rows(flood), greeting) as config:
        table = caller(config, tmp_path)
        with pytest.raises(Unavailable, match="does not end") as refused:
            table.page(call=table.call(seconds=3600))
        assert refused.value.backend_type == "postgres"


def test_nobody_waits_for_another_ones_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to connect nor for its tables."""
    monkeypatch.setattr("signalbox.adapters.postgres.connection.CONNECT_SECONDS", 3600.0)
    monkeypatch.setattr("signalbox.adapters.postgres.client.CONNECT_SECONDS", 3600.0)
    monkeypatch.setattr("signalbox.adapters.deadline.REQUEST_SECONDS", 3600.0)
    before_the_tables = (lambda link, _: bool(link.wait()), greet)
    with ThreadPoolExecutor(2) as threads:
        for behaviour, greeting in ((well, stalls_at_the_start), before_the_tables):
            with (
                serve(rows([b"\\x616e6e", b'{"n":1}', b"7"], columns=ROW[:3])) as good,
                serve(behaviour, greeting) as config,
            ):
                table = caller(config, tmp_path)
                stuck = threads.submit(table.get, "ann", call=table.call(seconds=600))
                assert caller(good, tmp_path).get("ann").data == {"n": 1}
                assert not stuck.done()
            with pytest.raises(SignalboxError):
                stuck.result()


@pytest.mark.parametrize(
    "found",
    [
        rows([b"\\x626f62", b"{}", b"7"], columns=ROW[:3]),
        rows([b"\\x616e6e", b"{}"], columns=ROW[:2]),
        rows([b"\\x616e6e", None, b"7"], columns=ROW[:3]),
        rows([b"\\x616e6e", b"{", b"7"], columns=ROW[:3]),
        rows([b"\\x616e6e", b"[" * 100_000, b"7"], columns=ROW[:3]),
        rows([b"\\x616e6e", b"[]", b"7"], columns=ROW[:3]),
        rows([b"\\x616e6e", b'{"n":NaN}', b"7"], columns=ROW[:3]),
        rows([b"\\x616e6e", b'{"n":{"$bytes":"%"}}', b"7"], columns=ROW[:3]),
        rows([b"\\xff", b"{}", b"7"], columns=ROW[:3]),
        rows([b"ann", b"{}", b"7"], columns=[("key", TEXT), *ROW[1:3]]),
        rows([b"\\x616e6e", b"{}", b"t"], columns=[*ROW[:2], ("seq", BOOL)]),
        rows([b"\\x616e6e", b"5", b"7"], columns=[("key", BYTEA), ("data", INT4), ("seq", INT8)]),
    ],
    ids=[
        "another key",
        "a column less",
        "no data",
        "half a document",
        "a deep document",
        "no object",
        "no number",
        "no bytes",
        "a key that is no text",
        "a key of another type",
        "a seq of another type",
        "data of another type",
    ],
)
def test_a_row_that_was_not_asked_for_or_is_none_is_an_error_for_good(
    tmp_path: Path, found: Behaviour
) -> None:
    with serve(found) as config:
        table = caller(config, tmp_path)
        with pytest.raises(IntegrityMismatch) as refused:
            table.get("ann")
        assert refused.value.backend_type == "postgres"
        assert refused.value.next_step


@pytest.mark.parametrize(
    "seq", [b"x", b"99999999999999999999999"], ids=["no number", "too large a number"]
)
def test_what_psycopg_cannot_read_is_typed(tmp_path: Path, seq: bytes) -> None:
    with serve(rows([b"\\x616e6e", b"{}", seq], columns=ROW[:3])) as config:
        with pytest.raises((IntegrityMismatch, Unavailable)) as refused:
            caller(config, tmp_path).get("ann")
        assert refused.value.backend_type == "postgres"


@pytest.mark.parametrize(
    "answer",
    [
        lambda link: link.send(b"?" * 64),
        lambda link: link.send(data_row([b"a"])),
        lambda link: link.send(described(ROW), data_row([b"a"]), complete(1)),
        lambda link: link.send(b"D" + struct.pack("!i", -5)),
        lambda link: link.send(message(b"E", b"SERROR\0CXX\0Mhunter2\0\0")),
        lambda link: link.connection.close(),
    ],
    ids=["no message", "row without columns", "short row", "negative size", "odd error", "end"],
)
def test_an_answer_that_makes_no_sense_is_typed_and_not_repeated(
    tmp_path: Path, answer: Any
) -> None:
    with serve(on_rows(answer)) as config:
        table = caller(config, tmp_path)
        with pytest.raises(SignalboxError) as refused:
            table.get("ann", call=table.call(seconds=60))
        assert refused.value.backend_type == "postgres"
        assert "hunter2" not in str(refused.value)


def endless(start: int, step: int) -> Behaviour:
    """Always a full page, whatever the place: going on, or round in circles."""

    def behave(link: Link) -> None:
        found: Rows = [
            [b"\\x" + f"{start + step * n:08}".encode().hex().encode(), b"{}", b"7", b"0"]
            for n in range(500)
        ]
        link.rows(ROW, found)

    return on_rows(behave)


@pytest.mark.parametrize(
    "found",
    [
        endless(1, 1),
        endless(1, 0),
        endless(10_000, -1),
        rows(*([[b"\\x61", b"{}", b"7", b"0"]] * 501)),
    ],
    ids=["the same page again", "one key", "backwards", "more than asked"],
)
def test_pages_that_lead_nowhere_end_the_walk(tmp_path: Path, found: Behaviour) -> None:
    with serve(found) as config:
        table = caller(config, tmp_path)
        with pytest.raises(IntegrityMismatch) as refused:
            table.page(("n", "eq", 1), call=table.call(seconds=3600))
        assert refused.value.backend_type == "postgres"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalbox.adapters.deadline.REQUEST_SECONDS", SHORT)
    monkeypatch.setattr("signalbox.adapters.postgres.connection.CONNECT_SECONDS", SHORT)


@pytest.fixture(autouse=True)
def _no_pools_of_others() -> Iterator[None]:
    """Ports are used again by other servers."""
    yield
    for pool in client._pools._clients.values():
        pool.close()
    client._forget()
