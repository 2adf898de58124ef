"""Steps of clients and workers on a ledger with parcels, without any process of theirs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from signalbox.commands.clock import lease_clock
from signalbox.commands.error import PreconditionFailed
from signalbox.commands.ledger.entry import (
    Acceptance,
    Action,
    Claimed,
    Claims,
    Finish,
    Finished,
    Intent,
    Receipt,
    Ticket,
    Wake,
)
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Accepted, Parcels, Take
from signalbox.commands.ledger.shard import Shards
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.settings import Settings
from signalbox.commands.state import State

SETTINGS = Settings(lease=timedelta(hours=1), publish_grace=timedelta(hours=1), max_attempts=2)
HASTY = timedelta(milliseconds=250)
"""A lease that is over soon."""
PLACE = "t_a/dev"
SHARD = Shards(16).shard("t_a", "dev")
QUEUE = "q"
RING = "commands.drain"


class ParcelHarness:
    """A ledger as one process sees it; of the tenant t_a, whose commands the tests submit."""

    def __init__(self, client: State, **settings: Any) -> None:
        self.connection = client
        self.client: Any = client.server()
        self.settings = SETTINGS.model_copy(update=settings)
        self.ledger = Ledger(client, self.settings)
        self.parcels = Parcels(client, self.settings, self.ledger)

    def accept(self, *commands: Command, reply_to: str = "") -> Accepted:
        return self.parcels.accept([Intent(c, QUEUE, reply_to) for c in commands])

    def submit(self, *commands: Command, as_records: bool = False) -> list[Acceptance]:
        """In parcels as far as they are ordinary, or as records."""
        return [receipt.acceptance for receipt in self.receipts(*commands, as_records=as_records)]

    def receipts(self, *commands: Command, as_records: bool = False) -> list[Receipt]:
        if as_records:
            return self.ledger.submit([Intent(command, QUEUE) for command in commands])
        return self.accept(*commands).receipts

    def take(self, token: str = "", **how: Any) -> Take:
        own: dict[str, Any] = {"rung": True, "worker": "w"}
        return self.parcels.take([SHARD], QUEUE, token=token or uuid.uuid4().hex, **own | how)

    def taken(self, token: str = "", **how: Any) -> Claims:
        return self.take(token, **how).claims

    def claim(self, *commands: Command, token: str = "") -> list[Claimed]:
        """Of records."""
        tickets = [Ticket(command.ref, command.op) for command in commands]
        return self.ledger.claim(tickets, token=token or uuid.uuid4().hex, worker="w").claimed

    def end(self, claims: Claims, ends: Mapping[str, Action] | None = None) -> Finished:
        """End parcels: as `ends` says by ref, what it does not name is done. None: it runs on."""
        told = ends or {}
        finishes = [
            end_of(claimed, told.get(claimed.command.ref, Action.DONE))
            for claimed in claims.claimed
        ]
        token = token_of(claims)
        return self.parcels.end(token, claims.parcels, finishes)

    def end_some(self, claims: Claims, *commands: Command) -> Finished:
        """End parcels while the other commands in them run on."""
        refs = {command.ref for command in commands}
        finishes = [end_of(c) for c in claims.claimed if c.command.ref in refs]
        return self.parcels.end(token_of(claims), claims.parcels, finishes)

    def finish(self, *claimed: Claimed, action: Action = Action.DONE) -> Finished:
        """Of records."""
        return self.ledger.finish(claimed[0].token, [end_of(each, action) for each in claimed])

    def run(self, *commands: Command) -> Finished:
        """Claim and finish records."""
        claimed = self.claim(*commands)
        assert [each.command for each in claimed] == list(commands)
        return self.finish(*claimed)

    def open_late(self) -> int:
        """What the reconciler does with parcels whose lease is over."""
        return self.parcels.open_late(self.ledger.due().late)

    def state(self, name: int) -> str:
        """Of a parcel: h, q, r, or '' if it is not open."""
        text: Any = self.client.hget(f"{SHARD}:par", str(name))
        return text.decode().split()[0] if text else ""

    def parcels_open(self) -> list[int]:
        names: Any = self.client.hkeys(f"{SHARD}:par")
        return sorted(int(name) for name in names)

    def has_record(self, command: Command) -> bool:
        return bool(self.client.exists(f"{SHARD}:op:{command.ref}"))

    def waiting_on(self, key: str) -> list[str]:
        """What stands in the list of an object's key; '' is a place."""
        refs: Any = self.client.lrange(f"{SHARD}:ord:{PLACE}/object_store:{key}", 0, -1)
        return [ref.decode() for ref in refs]

    def keys(self) -> set[str]:
        """Of the shard, without its tag and the op_ids' or parcels' names."""
        found: Any = self.client.keys(f"{SHARD}*")
        return {key.decode().removeprefix(SHARD).split(":")[1] for key in found}

    def snapshot(self) -> dict[bytes, bytes]:
        """All that the shard holds, but for leases' ends that Redis itself keeps."""
        found: Any = self.client.keys(f"{SHARD}*")
        return {key: self.client.dump(key) for key in found}


def token_of(claims: Claims) -> str:
    return claims.claimed[0].token if claims.claimed else claims.unrunnable[0].token


def end_of(claimed: Claimed, action: Action = Action.DONE, delay: float = 0.0) -> Finish:
    command = claimed.command
    failed = action is not Action.DONE
    error = PreconditionFailed("it is there", next_step="look").detail() if failed else None
    outcome = Outcome(
        op_id=command.op_id,
        op=command.op,
        tenant_id=command.tenant_id,
        env=command.env,
        status=Status.FAILED if failed else Status.DONE,
        error=error,
        seq=claimed.seq,
        attempt=claimed.attempt,
        worker="w",
        claimed_at=datetime.now(UTC),
        duration_ms=1.0,
    )
    return Finish(command.ref, claimed.token, action, outcome, timedelta(seconds=delay))


def with_usage(finish: Finish, usage: Any) -> Finish:
    return replace(finish, usage=usage)


def commands_of(claims: Claims) -> list[Command]:
    return [claimed.command for claimed in claims.claimed]


def rings(wakes: Sequence[Wake]) -> list[tuple[str, str]]:
    """Shard and queue of each ring among them."""
    return [(wake.ticket.ref, wake.queue) for wake in wakes if wake.ticket.op == RING]


def woken(wakes: Sequence[Wake]) -> list[str]:
    """The refs of the records among them."""
    return [wake.ticket.ref for wake in wakes if wake.ticket.op != RING]


def let_lease_end(lease: timedelta = HASTY) -> None:
    """Wait until a lease of this length is over at the server, whenever it began before this call.

    The deadline of a claim does not tell: it counts from before the call, the server's from within.
    """
    over = lease_clock() + lease.total_seconds()
    wait_for(lambda: lease_clock() > over)


def wait_for(condition: Callable[[], Any]) -> Any:
    """Wait until it holds; what it is then."""
    until = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < until, "it does not come true"
        time.sleep(0.01)
    return found
