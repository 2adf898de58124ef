"""Tables of Signalbox in DuckDB, for analysis on one machine."""

from __future__ import annotations

from signalbox.adapters.catalogue import Backend
from signalbox.commands.scope import ResourceKind

BACKEND = Backend(
    ResourceKind.TABULAR_STORE,
    "duckdb",
    "signalbox_duckdb.table_driver",
    scopes_fail_alone=True,
    ordered_bulk_verbs=frozenset({"upsert", "delete"}),
)
