"""A worker that wants proofs and clients with keys, in one process, on a Redis of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from signalbox.commands.ledger.entry import Ticket
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.model import Command, new_op_id
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload
from signalbox.commands.proof.keys import PrivateKey, encode
from signalbox.commands.proof.principal import Principal, PrincipalKey, Role
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.signed_command import COMMAND
from signalbox.commands.proof.statement import sign
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import State
from signalbox.commands.wire import Message, Ring, all_queues, read_message
from signalbox.producers.client.client import Client
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from signalbox.workers.app import app
from signalbox.workers.execution.authors import AuthorsAt
from signalbox.workers.execution.parcel_drain import ParcelDrain
from signalbox.workers.execution.proof_check import ProofCheck
from signalbox.workers.execution.signed_statements import Statements
from signalbox.workers.runtime import Runtime

HERE = "prod-eu"
OWNER, NEIGHBOUR = "t_acme", "t_evil"


class SignedDeployment:
    """Two tenants, each with a producer that has a key; messages are run when a test says so."""

    def __init__(
        self, folder: Path, state: State, signatures: Signatures = Signatures.REQUIRED
    ) -> None:
        self.folder, self.state = folder, state
        self.keys = self.keys_of_tenants()
        self.principals: dict[str, Principal] = {
            key.kid: principal(tenant, key) for tenant, key in self.keys.items()
        }
        self.settings = Settings.model_validate(
            {"payload_dir": folder / "payloads", "audience": HERE, "tenant_shards": 1}
            | self.more_settings()
        )
        self.runtime = Runtime(app, self.settings, state, worker="w")
        self.set(signatures)
        for tenant in self.keys:
            self.registry.set(
                Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="prod"),
                RouteTarget("filesystem", {"base_dir": str(folder / tenant)}, Mode.LAB),
                Change(actor="test", reason="test", change_id=new_op_id()),
            )

    def keys_of_tenants(self) -> dict[str, PrivateKey]:
        return {tenant: PrivateKey.new() for tenant in (OWNER, NEIGHBOUR)}

    def more_settings(self) -> dict[str, Any]:
        return {}

    def authors(self) -> AuthorsAt:
        """Whose keys count."""
        return lambda position: self.principals.get

    @property
    def registry(self) -> Registry:
        """As who sets routes uses it."""
        return self.runtime.registry

    def set(self, signatures: Signatures) -> None:
        """Have the worker treat what is not proven like that."""
        statements = Statements(HERE, self.settings.message_limit_bytes)
        count = self.ledger.count_unproven
        self.proofs = ProofCheck(signatures, statements, self.settings, self.authors(), count)
        executor = replace(self.runtime.executor, proofs=self.proofs)
        self.runtime.executor = executor
        parcels = Parcels(
            self.state,
            self.settings,
            self.ledger,
            trusting=signatures is not Signatures.REQUIRED,
        )
        self.runtime.parcels = parcels
        self.runtime.drains = ParcelDrain(executor, parcels, "w")

    @property
    def ledger(self) -> Ledger:
        return self.runtime.ledger

    def client(self, key: PrivateKey | None, **settings: Any) -> Client:
        """A client that signs with the key; its messages go nowhere."""
        update = dict(settings)
        if key is not None:
            path = self.folder / f"{key.kid}.json"
            if not path.exists():
                key.save(path)
            update["key_file"] = path
        client = Client(self.settings.model_copy(update=update), app=app, state=self.state)
        mute(client)
        return client

    def queues(self) -> list[str]:
        return all_queues(self.settings.tenant_shards)

    def run_all(self) -> None:
        """What workers do until nothing is ready or due, short of what waits."""
        shards = self.ledger.shards.tags
        for queue in self.queues():
            for at in range(0, len(shards), 8):
                self.runtime.drains.run(Ring(tuple(shards[at : at + 8]), queue))
        names = [
            (shard, ref.decode())
            for shard in shards
            for ref in self.state.call("ZRANGE", f"{shard}:due", 0, -1)
        ]
        tickets = [
            Ticket(ref, op.decode())
            for shard, ref in names
            if (op := self.state.call("HGET", f"{shard}:op:{ref}", "op"))
        ]
        if tickets:
            self.runtime.executor.execute(Message(tickets))

    def carry(self, document: Any, task_id: str = "m") -> None:
        """What a worker does with a message that holds this in place of its command."""
        self.runtime.executor.execute(
            read_message("commands.batch", task_id, {"commands": [document]}, 1)
        )

    def outcome(self, command: Command) -> Outcome | None:
        return self.ledger.outcomes([command.ref])[0]

    def code(self, command: Command) -> str:
        """The code of its error; 'done', or 'open'."""
        outcome = self.outcome(command)
        if outcome is None:
            return "open"
        return outcome.error.code if outcome.error else "done"

    def content(self, command: PutObject) -> bytes | None:
        """What stands under its key on the backend."""
        found = [
            path
            for path in (self.folder / command.tenant_id).rglob("*")
            if path.is_file() and command.key.split("/")[-1] in path.name
        ]
        return found[0].read_bytes() if found else None

    def stored(self) -> int:
        """Number of files with content of either tenant."""
        return sum(
            path.is_file() and "objects" in str(path)
            for tenant in self.keys
            for path in (self.folder / tenant).rglob("*")
        )


def mute(client: Client) -> None:
    """Have it send no messages."""
    within: Any = client
    within._publisher = SimpleNamespace(publish_or_leave=lambda *_: None)
    within._parcels._message = None


def principal(tenant: str, key: PrivateKey, **more: Any) -> Principal:
    return Principal(
        name=tenant.replace("t_", "producer-"),
        keys=[PrincipalKey(x=encode(key.public.raw))],
        roles=[Role.PRODUCER],
        tenants=[tenant],
        **more,
    )


def put(key: str, content: bytes = b"x", tenant: str = OWNER, **more: Any) -> PutObject:
    return PutObject(
        tenant_id=tenant, env="prod", key=key, payload=InlinePayload(data=content), **more
    )


def token(key: PrivateKey, command: Command, *, typ: str = COMMAND, **claims: Any) -> str:
    """The command as a producer without our client signs it."""
    now = int(time.time())
    document = json.loads(command.model_dump_json())
    stated: Mapping[str, Any] = {
        "aud": HERE,
        "iat": now,
        "exp": now + 300,
        "op_id": command.op_id,
        "command": document,
    }
    return sign(key, typ, {**stated, **claims})
