"""Records and parcels written by hand, as the scripts of submissions write them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from signalbox.commands.ledger.entry import Intent
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcel import seal
from signalbox.commands.ledger.proven import enclose
from signalbox.commands.object_store import PutObject
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.proof.manifest import Group, Manifest, Times
from signalbox.commands.state import State
from tests.integration.signed_deployment import HERE

QUEUE = "object_store.0"


def manifest(
    key: PrivateKey, groups: Sequence[Group], token: Callable[[str], str] = str
) -> Manifest:
    """What a client signs; `token` may forge it."""
    now = int(time.time())
    its = Manifest.sign(groups, key, HERE, Times(now, now + 600, now + 300))
    return replace(its, token=token(its.token))


def proof_by(key: PrivateKey, command: PutObject, token: Callable[[str], str] = str) -> str:
    """The proof of a record."""
    groups = [Group([command.model_dump_json().encode()])]
    return manifest(key, groups, token).command(0, 0).to_text()


def sealed_by(
    key: PrivateKey, commands: Sequence[PutObject], token: Callable[[str], str] = str
) -> bytes:
    """The content of a parcel with its proof."""
    content = seal(commands)
    groups = [Group([each.model_dump_json().encode() for each in commands], content)]
    return enclose(content, manifest(key, groups, token).parcel(0).to_text())


def write_record(
    site: Any, command: PutObject, proof: str, fields: dict[str, Any] | None = None
) -> None:
    """Write a record, with these fields in place of what submit.lua would write."""
    ledger: Ledger = site.ledger
    state: State = site.state
    shard = ledger.shards.of(command.ref)
    # A worker comes when it is due, which is after all of it is written.
    ledger.submit([Intent(command, QUEUE, proof=proof)])
    record = f"{shard}:op:{command.ref}"
    if fields:
        flat = [part for pair in fields.items() for part in pair]
        state.call("HSET", record, *flat)
    state.call("ZADD", f"{shard}:due", 0, command.ref)


def write_parcel(
    site: Any, commands: Sequence[PutObject], content: bytes, name_by: int = 0
) -> None:
    """Write a parcel whose name is of another time by so many microseconds."""
    ledger: Ledger = site.ledger
    state: State = site.state
    first, size = commands[0], len(commands)
    tenant_env = f"{first.tenant_id}/{first.env}"
    shard = ledger.shards.shard(first.tenant_id, first.env)
    name = int(time.time() * 1e6) + name_by
    keys = {c.order_key for c in commands if c.order_key}
    fields = ["q", 0, "-", size, size, 60_000, 0, int(time.time() * 1000), QUEUE]
    fields += [f"{tenant_env}/object_store", "-", "-", 0, ""]
    calls: list[tuple[Any, ...]] = [
        ("SET", f"{shard}:c:{name}", content),
        ("HSET", f"{shard}:par", name, " ".join(map(str, fields))),
        ("HINCRBY", f"{shard}:open", tenant_env, size),
        ("HINCRBY", f"{shard}:open", f"{tenant_env}/object_store", size),
    ]
    calls += [("HSET", f"{shard}:keys:{tenant_env}", key, name) for key in keys]
    for position, command in enumerate(commands):
        digest = bytes.fromhex(command.fingerprint())
        entry = b"%d.%d:" % (name, position) + digest
        calls.append(("HSET", f"{shard}:ids:{tenant_env}", command.op_id, entry))
    calls.append(("RPUSH", f"{shard}:rdy:{QUEUE}", name))
    calls.append(("ZADD", f"{shard}:bell", 0, QUEUE))  # nobody comes otherwise
    state.atomic(calls)
