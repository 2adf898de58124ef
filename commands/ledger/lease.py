"""Leases of running commands: finds out when everything that is claimed now has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.ledger.reader import FAR
from signalbox.commands.ledger.script_reply import read_state
from signalbox.commands.ref import Ref
from signalbox.commands.scope import Scope
from signalbox.commands.script import run_pipeline
from signalbox.commands.state import State

LATE_MS = 25_000
"""Milliseconds after the end of a lease during which a request sent before may still take effect:
the longest timeout of a cloud's client."""
POLL_SECONDS = 0.2
_PAGE = 500


def lease_left(client: State, ref: Ref, token: str) -> timedelta | None:
    """Return the time left of the lease of a claim, negative if it has expired; None if `token`
    does not hold the command. Raises StateUnavailable."""
    shard = shards_of(client).of(ref)
    calls: list[tuple[Any, ...]] = [
        ("HMGET", f"{shard}:op:{ref}", "st", "tok", "until"),
        client.time_call(shard),
        ("HGET", f"{shard}:era", "ahead"),
    ]
    (state, holder, until), (seconds, micros), ahead = run_pipeline(client, calls, [])
    if (state, holder) != (b"running", token.encode()):
        return None
    return timedelta(milliseconds=int(until) - _milliseconds(seconds, micros, ahead))


def _milliseconds(seconds: bytes, micros: bytes, ahead: bytes | None) -> int:
    """The ledger's time; see time.lua."""
    return int(seconds) * 1000 + int(micros) // 1000 + int(ahead or 0)


@dataclass(frozen=True)
class Held:
    """A command or parcel under a lease: the claim's token, and the end of the lease (ms, see
    time.lua)."""

    ref: Ref
    """The command's ref, or the name of the parcel."""
    token: bytes
    until: int


class Leases:
    """The claims of one scope that have not ended. Methods raise StateUnavailable."""

    def __init__(self, client: State, scope: Scope) -> None:
        self._client = client
        self._scope = scope

    @property
    def _shard(self) -> str:
        return shards_of(self._client).shard(self._scope.tenant_id, self._scope.env)

    def held(self) -> list[Held]:
        """Return every command and parcel of the scope that is claimed now; looks through all open
        ones of the shard."""
        found = self._parcels()
        names = self._client.call("ZRANGEBYSCORE", f"{self._shard}:due", "-inf", f"({FAR:.0f}")
        here = f"{self._scope.tenant_id}/{self._scope.env}/"
        refs = [name.decode() for name in names if name.decode().startswith(here)]
        for start in range(0, len(refs), _PAGE):
            page = refs[start : start + _PAGE]
            for ref, (state, op, token, until) in zip(page, self._read(page)[:-2], strict=True):
                if state == b"running" and op.partition(b".")[0].decode() == self._scope.kind:
                    found.append(Held(ref, token, int(until)))
        return found

    def still(self, held: list[Held]) -> list[Held]:
        """Return those whose claim may still have an effect.

        A claim that ended under its own lease has none. If the lease expired, the worker may be
        frozen or dead, and a request that it had sent counts for `LATE_MS` more. A command that has
        left its parcel since runs on under the same token.
        """
        parcels = {each.ref: each for each in held if "/" not in each.ref}
        left: list[Held] = []
        if parcels:
            # Read before the records: what left a parcel meanwhile is found among these.
            open_ones = {each.ref: each for each in self._parcels()}
            gone = {each.token for ref, each in parcels.items() if ref not in open_ones}
            known = {each.ref for each in held}
            if gone:
                held = held + [
                    each for each in self.held() if each.token in gone and each.ref not in known
                ]
            now = self._now()
            for ref, each in parcels.items():
                its = open_ones.get(ref)
                if its is not None and its.token == each.token:
                    each = its
                elif now < each.until:
                    continue
                if now <= each.until + LATE_MS:
                    left.append(each)
        records = [each for each in held if "/" in each.ref]
        for start in range(0, len(records), _PAGE):
            page = records[start : start + _PAGE]
            *rows, (seconds, micros), ahead = self._read([each.ref for each in page])
            now = _milliseconds(seconds, micros, ahead)
            for each, (state, _, token, until) in zip(page, rows, strict=True):
                if (state, token) == (b"running", each.token):
                    each = replace(each, until=int(until))  # claimed again: its answer was lost
                elif now < each.until:
                    continue
                if now <= each.until + LATE_MS:
                    left.append(each)
        return left

    def drained(self, timeout: timedelta) -> Iterator[list[Held]]:
        """Yield repeatedly what is left of the current claims, until nothing is or the time is
        over."""
        deadline = time.monotonic() + timeout.total_seconds()
        left = self.still(self.held())
        yield left
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            left = self.still(left)
            yield left

    def _parcels(self) -> list[Held]:
        """Return the scope's parcels that are taken now."""
        scope = f"{self._scope.tenant_id}/{self._scope.env}/{self._scope.kind}"
        [found] = run_pipeline(self._client, [("HGETALL", f"{self._shard}:par")], [])
        held = []
        for name, text in found.items():
            its = read_state(text)
            if its.state == "r" and its.scope == scope:
                held.append(Held(name.decode(), its.token.encode(), its.until))
        return held

    def _now(self) -> int:
        calls: list[tuple[Any, ...]] = [
            self._client.time_call(self._shard),
            ("HGET", f"{self._shard}:era", "ahead"),
        ]
        (seconds, micros), ahead = run_pipeline(self._client, calls, [])
        return _milliseconds(seconds, micros, ahead)

    def _read(self, refs: list[Ref]) -> list[Any]:
        calls: list[tuple[Any, ...]] = [
            ("HMGET", f"{self._shard}:op:{ref}", "st", "op", "tok", "until") for ref in refs
        ]
        # Behind the others: what had ended when it was read had ended by that time.
        calls += [self._client.time_call(self._shard), ("HGET", f"{self._shard}:era", "ahead")]
        return run_pipeline(self._client, calls, [])
