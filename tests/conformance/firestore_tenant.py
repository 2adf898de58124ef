"""What the cases that only Firestore has need: a scope of their own on the emulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.model import new_op_id
from signalbox.commands.payload import PayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.tabular_store import GetRow, UpsertRow
from tests.conformance.firestore_harness import firestore_emulator


@dataclass(frozen=True)
class FirestoreTenant:
    """One tenant in `dev`, and commands there."""

    tenant: str
    payloads: PayloadStore

    @property
    def names(self) -> dict[str, str]:
        return {"tenant_id": self.tenant, "env": "dev"}

    def open(self, kind: ResourceKind, **config: str) -> Any:
        scope = Scope(kind=kind, tenant_id=self.tenant, env="dev")
        found = {"project": "signalbox-alone", "emulator_host": firestore_emulator()} | config
        return find_backend(kind, "firestore").open(AdapterContext(scope, Mode.LAB, found))

    def table(self, **config: str) -> Any:
        return self.open(ResourceKind.TABULAR_STORE, **config)

    def call(self, seq: int, seconds: float = 60) -> Call:
        return Call(new_op_id(), seq, False, lease_clock() + seconds, self.payloads)

    def upsert(self, key: str, data: dict[str, Any]) -> UpsertRow:
        return UpsertRow(**self.names, table_name="people", key=key, data=data)

    def get(self, key: str) -> GetRow:
        return GetRow(**self.names, table_name="people", key=key)
