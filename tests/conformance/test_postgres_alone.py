"""What only PostgreSQL has: a table that a release before has made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.data_text import data_text
from signalbox.adapters.port import AdapterContext
from signalbox.adapters.postgres import client
from signalbox.adapters.postgres.client import _TABLE
from signalbox.adapters.postgres.column_rank import bytes_of, index_statement
from signalbox.adapters.postgres.failure import translate
from signalbox.adapters.postgres.table_driver import _NAMES, open_driver
from signalbox.adapters.row_query import order_key
from signalbox.commands.error import (
    BackendResting,
    Contended,
    LeaseExpired,
    Misconfigured,
    ScanRefused,
)
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.tabular_store import ListTables, QueryRows, Row
from signalbox.testing.harness import Harness
from signalbox.testing.store_caller import Acceptance
from signalbox.testing.table_caller import TableCaller, Test
from tests.conformance.postgres_harness import postgres_harness
from tests.integration.conftest import wait_until


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    with postgres_harness() as harness:
        yield harness


def test_rows_of_the_release_before_go_on(harness: Harness, tmp_path: Path) -> None:
    address = {
        "host": harness.config["host"],
        "user": "postgres",
        "dbname": harness.config["database"],
    }
    older = _TABLE.replace("    mark text,\n", "").format(schema="before")
    assert "mark" not in older
    with psycopg.connect(**address) as connection:
        connection.execute("CREATE SCHEMA before")
        connection.execute(older.encode())
        connection.execute(
            "INSERT INTO before.rows VALUES ('t_a', 'dev', 'people', 'ann', 1, NULL, '{}')"
        )
    scope = Scope(kind=ResourceKind.TABULAR_STORE, tenant_id="t_a", env="dev")
    config = harness.config | {"db_schema": "before"}
    store = find_backend(scope.kind, "postgres").open(
        AdapterContext(scope=scope, mode=Mode.LAB, config=config)
    )
    table = TableCaller(store, "t_a", "dev", DirectoryPayloadStore(tmp_path))
    assert table.get("ann").revision == 1
    turn = Acceptance(seq=2)
    table.upsert("ann", {"n": 2}, call=table.call(turn), if_revision=1)
    assert not table.late_upsert("ann", table.call(turn.replayed(), takeover=True), if_revision=1)


def test_a_locked_row_rests_neither_its_database_nor_other_rows(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writes come again without an attempt; the breaker hears of no database that is down."""
    monkeypatch.setattr(client, "LOCK_SECONDS", 0.1)
    scope = Scope(kind=ResourceKind.TABULAR_STORE, tenant_id="t_a", env="dev")
    config = harness.config | {"db_schema": "locked"}
    store = find_backend(scope.kind, "postgres").open(
        AdapterContext(scope=scope, mode=Mode.LAB, config=config)
    )
    table = TableCaller(store, "t_a", "dev", DirectoryPayloadStore(tmp_path))
    table.fill({"held": {"n": 1}, "free": {"n": 1}})
    address = {
        "host": harness.config["host"],
        "user": "postgres",
        "dbname": harness.config["database"],
    }
    with psycopg.connect(**address) as connection:
        connection.execute("SELECT 1 FROM locked.rows WHERE key = 'held' FOR UPDATE")
        for write in (table.upsert, table.delete):
            with pytest.raises(BackendResting) as refused:
                write("held")
            assert refused.value.waits
            assert refused.value.retry_after
        table.upsert("free", {"n": 2})
        assert table.data("held") == {"n": 1}
    table.upsert("held", {"n": 2})


def test_a_worker_that_is_frozen_between_two_statements_locks_no_row_beyond_its_lease(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LOCK_SECONDS", 0.1)
    table = open_table(harness, tmp_path, "frozen")
    table.fill({"held": {"n": 1}})
    scope = Scope(kind=ResourceKind.TABULAR_STORE, tenant_id="t_a", env="dev")
    config = harness.config | {"db_schema": "frozen"}
    driver = open_driver(AdapterContext(scope, Mode.LAB, config))

    def hold() -> None:
        with driver.session(table.call(seconds=1.0)) as session:
            session.look([("people", "held")])
            with pytest.raises(BackendResting):
                table.upsert("held", {"n": 2})
            wait_until(lambda: can_write(table, "held"), "the row is free")

    with pytest.raises(LeaseExpired):
        hold()
    assert table.data("held") == {"n": 3}
    ended = translate(psycopg.errors.IdleInTransactionSessionTimeout())
    assert isinstance(ended, Contended)  # where it is thawed within its lease


def can_write(table: TableCaller, key: str) -> bool:
    try:
        table.upsert(key, {"n": 3})
    except BackendResting:
        return False
    return True


def open_table(harness: Harness, tmp_path: Path, schema: str, **config: Any) -> TableCaller:
    scope = Scope(kind=ResourceKind.TABULAR_STORE, tenant_id="t_a", env="dev")
    config = harness.config | {"db_schema": schema} | config
    store = find_backend(scope.kind, "postgres").open(AdapterContext(scope, Mode.LAB, config))
    return TableCaller(store, "t_a", "dev", DirectoryPayloadStore(tmp_path))


def connect(harness: Harness) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=harness.config["host"],
        user="postgres",
        dbname=harness.config["database"],
        autocommit=True,
    )


def test_the_index_that_a_refusal_names_serves_the_query(harness: Harness, tmp_path: Path) -> None:
    table, column = open_table(harness, tmp_path, "indexed"), "it's \\ 100%"
    table.fill({f"k{n:03}": {column: 300 - n, "of": n % 2} for n in range(300)})
    queries: list[tuple[list[Test], str | None]] = [
        ([], column),
        ([(column, "ge", 20)], None),
        ([(column, "ge", 20)], "of"),
    ]
    for where, order_by in queries:
        with pytest.raises(ScanRefused) as refused:
            table.keys(*where, order_by=order_by, allow_scan=False)
    found = re.search(r"CREATE INDEX.*?;|CREATE INDEX.* IS NULL", refused.value.next_step or "")
    assert found is not None
    with connect(harness) as connection:
        connection.execute(found[0].encode())
        connection.execute("ANALYZE indexed.rows")
        for where, order_by in queries:
            keys = table.keys(*where, order_by=order_by, allow_scan=False, limit=7)
            assert keys == table.keys(*where, order_by=order_by, limit=100)
        with pytest.raises(ScanRefused):
            table.keys(order_by="of", allow_scan=False)
    with connect(harness) as connection:
        connection.execute("SET search_path TO indexed")
        plan = connection.execute(
            "EXPLAIN SELECT key FROM rows WHERE tenant = 't_a' AND env = 'dev' AND tab = 'people' "
            "AND gone IS NULL AND column_rank(data, %s::text) < '\\x06' "
            "ORDER BY column_rank(data, %s::text), key LIMIT 5",
            (column, column),
            prepare=False,
        ).fetchall()
    assert any("column_rank" in line and "Index" in line for (line,) in plan), plan


@pytest.mark.parametrize("standard", ["on", "off"])
@pytest.mark.parametrize("column", ["\\", "\\'", "a\\'); DROP TABLE t;--", "'); DROP TABLE t;--"])
def test_the_statement_of_an_index_makes_that_index_and_nothing_else(
    harness: Harness, tmp_path: Path, column: str, standard: str
) -> None:
    """Also where the server reads a backslash in a string as an escape."""
    with connect(harness) as connection:
        user, schema = f"reader_{standard}", f"quoted_{standard}_{column.encode().hex()}"
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [user]).fetchone():
            connection.execute(f"CREATE ROLE {user} LOGIN SUPERUSER".encode())
            connection.execute(
                f"ALTER ROLE {user} SET standard_conforming_strings = {standard}".encode()
            )
        table = open_table(harness, tmp_path, schema, user=user)
        table.fill({"k": {column: 1}})
        with pytest.raises(ScanRefused) as refused:
            table.keys((column, "eq", 1), allow_scan=False)
        connection.execute(f"SET standard_conforming_strings = {standard}".encode())
        statement = index_statement(schema, column)
        assert statement in (refused.value.next_step or "")
        connection.execute(statement.encode())
        assert table.keys((column, "eq", 1), allow_scan=False) == ["k"]


VALUES: list[Any] = [
    *(None, True, False, [1], {}, {"a": 1}),
    *(0, -0.0, 0.0, 1, 1.0, -1, -1.5, 5e-324, -5e-324, 2.5e-310, 1.7976931348623157e308, 0.1),
    *(2**53, 2**53 + 1, 2.0**53, -(2**53) - 1, 2**63 - 1, 2**63 - 2, 2.0**63, 2.0**62, 2**62 + 50),
    *(2**62 - 50, -(2**63), -(2.0**63), 1e16, 10**16, 1e22, 0.1 + 0.2),
    *("", "\0", "\1", "\0\1", "\1\0", "\1\2", "\2", "\0\0", "\\u0000", "\\\0", "\\\\u0000", "a"),
    *("é" * 512, "é" * 512 + "x", "é" * 511 + "\0" * 5, "\0" * 2000, "😀", "\uffff", '"\n\t/'),
    *(b"", b"a", b"\xff" * 2000, b"\0"),
    *(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
    *(datetime(2026, 1, 1, 0, 0, 0, micros, tzinfo=UTC) for micros in (0, 1, 500_000)),
]


def test_postgres_ranks_values_as_python_does(harness: Harness, tmp_path: Path) -> None:
    column = "a'%b\\"
    query = QueryRows(tenant_id="t_a", env="dev", table_name="t", order_by=column)
    rows = [
        Row(key=f"{n:03}", data={column: value, "z": "\0", "\\u0000": 1}, revision=1)
        for n, value in enumerate(VALUES)
    ]
    rows.append(Row(key="without", data={"z": "\0"}, revision=1))
    open_table(harness, tmp_path, "ranked").fill({})
    open_table(harness, tmp_path, "ranked").keys()
    with connect(harness) as connection:
        for row in rows:
            asked = (data_text(row.data), column)
            found = connection.execute("SELECT ranked.column_rank(%s, %s)", asked).fetchone()
            assert found == (bytes_of(order_key(query, row)),), row.data
    by_bytes = sorted(rows, key=lambda row: (bytes_of(order_key(query, row)), row.key))
    assert by_bytes == sorted(rows, key=lambda row: order_key(query, row))


def test_who_may_not_make_the_function_goes_on_without_it(harness: Harness, tmp_path: Path) -> None:
    """As after an upgrade, with a table that its owner has made."""
    with connect(harness) as connection:
        connection.execute("CREATE SCHEMA owned")
        connection.execute(_TABLE.format(schema="owned").encode())
        connection.execute("CREATE ROLE worker LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA owned TO worker")
        connection.execute("GRANT ALL ON owned.rows TO worker")
        table = open_table(harness, tmp_path, "owned", user="worker")
        table.fill({"a": {"n": 1}})
        assert table.keys() == ["a"]
        with pytest.raises(Misconfigured) as refused:
            table.keys(("n", "eq", 1))
        assert "GRANT CREATE ON SCHEMA" in (refused.value.next_step or "")
        connection.execute("GRANT CREATE ON SCHEMA owned TO worker")
        client._pools = client._no_pools()
        assert table.keys(("n", "eq", 1)) == ["a"]


def test_a_list_of_tables_reads_no_more_than_a_row_of_each(
    harness: Harness, tmp_path: Path
) -> None:
    table = open_table(harness, tmp_path, "named")
    table.upsert("k", {}, table="last")
    asked = {"tenant": "t_a", "env": "dev", "prefix": "", "after": "", "limit": 10}
    with connect(harness) as connection:
        connection.execute("SET search_path TO named")
        connection.execute(
            "INSERT INTO rows SELECT 't_a', 'dev', 'n' || n % 3, n::text::bytea, n, NULL, '{}' "
            "FROM generate_series(1, 30000) AS n"
        )
        connection.execute("ANALYZE rows")
        found = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {_NAMES}".encode(), asked)
        [(plan,)] = found.fetchall()
    assert _rows_read(plan[0]["Plan"]) <= 10
    page = table.store.list_tables(ListTables(**table.scope_fields), table.call())
    assert page.tables == ["last", "n0", "n1", "n2"]


def _rows_read(plan: dict[str, Any]) -> int:
    """Rows that were taken from tables and indexes."""
    own = plan["Actual Rows"] * plan["Actual Loops"] if "Relation Name" in plan else 0
    return int(own) + sum(_rows_read(part) for part in plan.get("Plans", []))
