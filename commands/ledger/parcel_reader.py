"""Reads the answers of a take: the parcels of a shard, with their commands."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from signalbox.commands.error import LedgerDamaged
from signalbox.commands.frozen import make_frozen
from signalbox.commands.ledger.entry import Claimed, Claims, Parcel, Unrunnable, Wake
from signalbox.commands.ledger.era import Position, Seen
from signalbox.commands.ledger.fences import Fences
from signalbox.commands.ledger.parcel import Unreadable, sift
from signalbox.commands.ledger.proven import disclose
from signalbox.commands.ledger.reader import parcel_of
from signalbox.commands.ledger.script_reply import batched, read_state, read_wakes
from signalbox.commands.state import State

MAX_DAMAGED = 64 * 1024
"""Maximum bytes of damaged content that each dead letter keeps."""


@dataclass(frozen=True)
class TakenShard:
    """The result of a take on one shard."""

    shard: str
    parcels: list[Parcel]
    wakes: list[Wake]
    lost: str
    """What the ledger has lost there; empty if nothing."""
    expected: bool
    before: int
    """Last number of the previous era."""
    deadline: float
    claimed_at: datetime

    def add_to(self, claims: Claims, token: str, fences: Fences) -> None:
        claims.parcels.extend(self.parcels)
        for parcel in self.parcels:
            fence = fences.routes[f"{parcel.kind}/{parcel.tenant_env}"]
            shared = {
                "token": token,
                "attempt": 1,
                "counted": 1,
                "deadline": self.deadline,
                "claimed_at": self.claimed_at,
                "fence": fence,
                "signed": None,
                "stale": False,
            }
            for row in parcel.rows.values():
                seq = parcel.name + row.position
                own = {"command": row.command, "seq": seq, "mark": seq, "older": seq <= self.before}
                claims.claimed.append(make_frozen(Claimed, shared | own))
            for bad in parcel.unreadable:
                seq = parcel.name + bad.position
                claims.unrunnable.append(
                    Unrunnable(bad.ref, bad.op, seq, 1, token, self.claimed_at, bad.error)
                )


class ParcelReader:
    """Reads parcels, including damaged ones. Raises StateUnavailable."""

    def __init__(self, client: State, seen: Seen, *, trusting: bool = True) -> None:
        """Unless `trusting`, commands are checked, whoever has sealed them."""
        self._client = client
        self._trusting = trusting
        self._seen = seen

    def taken(self, shard: str, answer: Sequence[Any], started: float) -> TakenShard:
        """Parse the answer of one shard to a take that was sent at `started`."""
        woken, time_us, epoch, era, clock, lost, before, lease_ms, back_ms, *flat = answer
        if not lost:
            self._seen.claimed(shard, Position(epoch.decode(), era.decode(), int(clock)))
        return TakenShard(
            shard=shard,
            parcels=[self.parcel(shard, *row) for row in batched(flat, 3)],
            wakes=read_wakes(woken),
            lost=lost.decode(),
            expected=bool(back_ms),
            before=int(before),
            deadline=started + lease_ms / 1000,
            claimed_at=datetime.fromtimestamp(int(time_us) / 1e6, UTC),
        )

    def parcel(self, shard: str, name: bytes, text: bytes, content: bytes) -> Parcel:
        """Parse one row of a take's answer, also if its content is damaged."""
        state, number = read_state(text), int(name)
        tenant_env, _, kind = state.scope.rpartition("/")
        try:
            content, proof = disclose(content)
            sound, unreadable = sift(content, state.left_out, trusting=self._trusting)
        except LedgerDamaged as error:
            unreadable, keys = self._damaged(shard, tenant_env, kind, number, content, error)
            return Parcel(number, shard, tenant_env, kind, {}, unreadable, keys, state.clock)
        rows = {row.command.ref: row for row in sound}
        keys = [key for row in sound if (key := row.command.order_key)]
        keys = self._keys(shard, tenant_env, number) if unreadable else list(dict.fromkeys(keys))
        kept = content if proof else b""
        return Parcel(
            number,
            shard,
            tenant_env,
            kind,
            rows,
            unreadable,
            keys,
            state.clock,
            content=kept,
            proof=proof,
            checked=not self._trusting,
        )

    def _damaged(
        self,
        shard: str,
        tenant_env: str,
        kind: str,
        name: int,
        content: bytes,
        error: LedgerDamaged,
    ) -> tuple[list[Unreadable], list[str]]:
        """Return what is known of the commands of a parcel whose content cannot be read."""
        document = {"damaged": base64.b64encode(content[:MAX_DAMAGED]).decode()}
        found = []
        entries = self._client.scan_hash(f"{shard}:ids:{tenant_env}")
        for op_id, entry in entries:
            number, position = parcel_of(entry)
            if number == name:
                ref, op = f"{tenant_env}/{op_id.decode()}", f"{kind}.unknown"
                found.append(Unreadable(position, ref, op, document, error))
        return found, self._keys(shard, tenant_env, name)

    def _keys(self, shard: str, tenant_env: str, name: int) -> list[str]:
        """Return the keys that a parcel holds; looks through all that are held."""
        entries = self._client.scan_hash(f"{shard}:keys:{tenant_env}")
        return [key.decode() for key, holder in entries if int(holder) == name]
