"""Commands to DynamoDB stores whose client is stubbed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.stub import Stubber

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.metrics_store import IngestPoints, Point
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.tabular_store import UpsertRow

KIND = ResourceKind.TABULAR_STORE
SCOPE = Scope(kind=KIND, tenant_id="t_demo", env="dev")
WHO: dict[str, Any] = {"tenant_id": "t_demo", "env": "dev"}


def make_call(tmp_path: Path, seconds: float = 30, seq: int = 7) -> Call:
    return Call(f"op-{seq}", seq, False, lease_clock() + seconds, DirectoryPayloadStore(tmp_path))


def open_store(config: dict[str, Any], kind: ResourceKind = KIND) -> Any:
    scope = Scope(kind=kind, tenant_id="t_demo", env="dev")
    return find_backend(kind, "dynamodb").open(AdapterContext(scope, Mode.LAB, config))


def upsert(key: str = "k") -> UpsertRow:
    return UpsertRow(**WHO, table_name="people", key=key, data={"a": 1})


def ingest(*seconds: int) -> IngestPoints:
    points = [
        Point.model_validate({"series": "cpu", "timestamp": f"2026-01-31T12:00:{n}Z", "value": n})
        for n in seconds
    ]
    return IngestPoints(**WHO, points=points)


def append_event(stream: str = "orders") -> AppendEvent:
    return AppendEvent(**WHO, stream=stream, event=Event(type="x"))


def cancelled(stub: Stubber, *codes: str) -> None:
    reasons = [{"Code": code} for code in codes]
    stub.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        http_status_code=400,
        modeled_fields={"CancellationReasons": reasons},
    )
