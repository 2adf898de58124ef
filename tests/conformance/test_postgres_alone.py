"""What only PostgreSQL has: a table that a release before has made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext
from signalbox.adapters.postgres import client
from signalbox.adapters.postgres.client import _TABLE
from signalbox.commands.error import BackendResting
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.testing.harness import Harness
from signalbox.testing.table_desk import TableDesk
from signalbox.testing.turn import Turn
from tests.conformance.postgres_harness import postgres_harness


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    with postgres_harness() as harness:
        yield harness


def test_rows_of_the_release_before_go_on(harness: Harness, tmp_path: Path) -> None:
    place = {
        "host": harness.config["host"],
        "user": "postgres",
        "dbname": harness.config["database"],
    }
    older = _TABLE.replace("    mark text,\n", "").format(schema="before")
    assert "mark" not in older
    with psycopg.connect(**place) as connection:
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
    table = TableDesk(store, "t_a", "dev", DirectoryPayloadStore(tmp_path))
    assert table.get("ann").revision == 1
    turn = Turn(seq=2)
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
    table = TableDesk(store, "t_a", "dev", DirectoryPayloadStore(tmp_path))
    table.fill({"held": {"n": 1}, "free": {"n": 1}})
    place = {
        "host": harness.config["host"],
        "user": "postgres",
        "dbname": harness.config["database"],
    }
    with psycopg.connect(**place) as connection:
        connection.execute("SELECT 1 FROM locked.rows WHERE key = 'held' FOR UPDATE")
        for write in (table.upsert, table.delete):
            with pytest.raises(BackendResting) as refused:
                write("held")
            assert refused.value.waits
            assert refused.value.retry_after
        table.upsert("free", {"n": 2})
        assert table.data("held") == {"n": 1}
    table.upsert("held", {"n": 2})
