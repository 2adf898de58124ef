"""Read access to the ledger; nothing here changes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from signalbox.commands.error import LedgerDamaged
from signalbox.commands.ledger.entry import Record
from signalbox.commands.ledger.framing import damaged
from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.ledger.parcel import sift
from signalbox.commands.ledger.parcel_outcome import open_outcomes
from signalbox.commands.ledger.proven import disclose
from signalbox.commands.ledger.script_reply import RECORD_FIELDS, batched, read_record, read_state
from signalbox.commands.ledger.shard import Shards
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.ref import Ref, split_ref
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.state import State

OUTCOMES = Script("signalbox.commands.ledger", "outcomes.lua")
FAR = 9e15
"""The due time of a held command; see hold.lua."""
_MAX_ASKED = 1000
"""Maximum number of commands of a tenant and env in one call of the script."""


class LedgerReader:
    """Outcomes, records and counts. Thread-safe; each method raises StateUnavailable."""

    def __init__(self, client: State) -> None:
        self._client = client

    @property
    def shards(self) -> Shards:
        """Raises LedgerMismatch, LedgerTooNew."""
        return shards_of(self._client)

    def outcomes(self, refs: Sequence[Ref]) -> list[Outcome | None]:
        """Return the outcome of each command, None while it is open or if it is not known."""
        tenant_envs: dict[tuple[str, str], list[str]] = {}
        for ref in dict.fromkeys(refs):
            tenant_id, env, _ = split_ref(ref)
            tenant_envs.setdefault((tenant_id, env), []).append(ref)
        by_shard: dict[str, list[Sequence[str]]] = {}
        for tenant_env, its in tenant_envs.items():
            by_shard.setdefault(self.shards.shard(*tenant_env), []).extend(batched(its, _MAX_ASKED))
        calls = []
        for shard, groups in by_shard.items():
            arguments: list[Any] = []
            for group in groups:
                here, _, _ = group[0].rpartition("/")
                arguments += [here, len(group), *(ref.rpartition("/")[2] for ref in group)]
            calls.append(OUTCOMES.call([shard], arguments))
        found: dict[str, Outcome | None] = {}
        answers = run_pipeline(self._client, calls, [OUTCOMES])
        for groups, (contents, rows) in zip(by_shard.values(), answers, strict=True):
            opened = [_opened(content)[2] for content in contents]
            asked = [ref for group in groups for ref in group]
            for ref, row in zip(asked, rows, strict=True):
                found[ref] = _outcome(ref, row, opened)
        return [found[ref] for ref in refs]

    def records(self, refs: Sequence[Ref]) -> list[Record | None]:
        """Return what is known of each command, None if nothing is."""
        calls: list[tuple[Any, ...]] = []
        for ref in refs:
            tenant_env, _, op_id = ref.rpartition("/")
            calls.append(("HMGET", f"{self.shards.of(ref)}:op:{ref}", *RECORD_FIELDS))
            calls.append(("HGET", f"{self.shards.of(ref)}:ids:{tenant_env}", op_id))
        answers = batched(run_pipeline(self._client, calls, []), 2)
        found = []
        for ref, (row, entry) in zip(refs, answers, strict=True):
            record = read_record(ref, row)
            if record is None and entry is not None:
                # It may have left the parcel since it was asked for.
                record = self._in_parcel(ref, entry) or self._of_its_own(ref)
            found.append(record)
        return found

    def find(self, op_id: str) -> list[str]:
        """Return the refs with this op_id of all tenants; scans all keys, so only for people."""
        escaped = re.sub(r"([*?\[\]\\^-])", r"\\\1", op_id)
        keys = self._client.scan(f"*:op:*/{escaped}")
        refs = {key.decode().split(":op:", 1)[1] for key in keys}
        for key in self._client.scan("*:ids:*"):
            if self._client.call("HEXISTS", key.decode(), op_id):
                refs.add(f"{key.decode().split(':ids:', 1)[1]}/{op_id}")
        return sorted(refs)

    def totals(self) -> dict[str, int]:
        """Return counts over all shards, with the current `open`, `held` and `dead_letters`."""
        tags = self.shards.tags
        calls: list[tuple[Any, ...]] = []
        for shard in tags:
            calls += [self._client.time_call(shard), ("HGET", f"{shard}:era", "ahead")]
        times = batched(run_pipeline(self._client, calls, []), 2)
        calls = []
        for shard, ((seconds, _), ahead) in zip(tags, times, strict=True):
            now = int(seconds) * 1000 + int(ahead or 0)
            calls += [
                ("HGETALL", f"{shard}:count"),
                ("ZCARD", f"{shard}:due"),
                ("ZCARD", f"{shard}:dead"),
                ("ZCOUNT", f"{shard}:due", "-inf", now),
                ("ZCOUNT", f"{shard}:due", FAR, "+inf"),
                ("HVALS", f"{shard}:par"),
                ("ZCOUNT", f"{shard}:pdue", "-inf", now),
            ]
        totals = Counter[str]()
        rows = batched(run_pipeline(self._client, calls, []), 7)
        for counts, open_, dead, overdue, held, parcels, late in rows:
            totals.update({name.decode(): int(value) for name, value in counts.items()})
            totals.update({"open": open_, "dead_letters": dead, "overdue": overdue, "held": held})
            states = [read_state(text) for text in parcels]
            totals["open"] += sum(each.kept for each in states)
            totals["held"] += sum(each.kept for each in states if each.state == "h")
            totals["overdue"] += late
        return dict(totals)

    def _of_its_own(self, ref: Ref) -> Record | None:
        call = ("HMGET", f"{self.shards.of(ref)}:op:{ref}", *RECORD_FIELDS)
        [row] = run_pipeline(self._client, [call], [])
        return read_record(ref, row)

    def _in_parcel(self, ref: Ref, entry: bytes) -> Record | None:
        """Return what is known of a command in a parcel."""
        shard, (name, position) = self.shards.of(ref), parcel_of(entry)
        calls = [
            ("HGET", f"{shard}:par", name),
            ("GET", f"{shard}:c:{name}"),
            ("GET", f"{shard}:o:{name}"),
        ]
        text, content, ended = run_pipeline(self._client, calls, [])
        if ended is not None:
            clock, began, opened = _opened(ended)
            outcome = _outcome_in(ref, position, opened)
            if outcome is None:
                return None
            return Record(
                ref=ref,
                op=outcome.op,
                state="done",
                seq=name + position,
                attempt=outcome.attempt,
                accepted_at=datetime.fromtimestamp(name / 1e6, UTC),
                began=began + position + 1,
                ended=clock,
                worker=outcome.worker,
                outcome=outcome,
                waits_for=None,
            )
        if text is None or content is None:
            return None
        state = read_state(text)
        runs = state.state == "r"
        ops: dict[int, str] = {}
        with suppress(LedgerDamaged):  # who takes it says so, of each command in it
            rows, unreadable = sift(disclose(content)[0], ())
            ops = {row.position: row.command.op for row in rows}
            ops |= {bad.position: bad.op for bad in unreadable}
        return Record(
            ref=ref,
            op=ops.get(position) or f"{state.scope.rpartition('/')[2]}.unknown",
            state="running" if runs else "queued",
            seq=name + position,
            attempt=int(runs),
            accepted_at=datetime.fromtimestamp(state.accepted / 1000, UTC),
            began=state.clock + position + 1 if runs else None,
            ended=None,
            worker=state.worker or None,
            outcome=None,
            waits_for=None,
        )


Opened = dict[int, Outcome] | LedgerDamaged
"""Return the outcomes of a parcel by position, or why they cannot be read."""


def _opened(content: bytes) -> tuple[int, int, Opened]:
    """Parse :o:<name>: the clock of its end, the clock before its first command began, and its
    outcomes."""
    try:
        ended, began, sealed = content.split(b" ", 2)
        clocks = int(ended), int(began)
    except ValueError:
        return 0, 0, damaged("has no beginning")
    try:
        return *clocks, open_outcomes(sealed)
    except LedgerDamaged as error:
        return *clocks, error


def _outcome(ref: Ref, row: bytes | None, opened: Sequence[Opened]) -> Outcome | None:
    if not row:
        return None
    if row[:1] == b"{":
        return Outcome.model_validate_json(row)
    number, position = row.split(b" ")
    return _outcome_in(ref, int(position), opened[int(number)])


def _outcome_in(ref: Ref, position: int, opened: Opened) -> Outcome | None:
    """Return None if the command has left the parcel meanwhile."""
    if not isinstance(opened, LedgerDamaged):
        return opened.get(position)
    # It is an end as well: whoever waits for others must not wait for this one, nor be refused.
    tenant_id, env, op_id = split_ref(ref)
    return Outcome(
        op_id=op_id,
        op="unknown",
        tenant_id=tenant_id,
        env=env,
        status=Status.FAILED,
        error=LedgerDamaged(
            f"the command has run, and what came of it cannot be read: {opened.message}",
            tenant_id=tenant_id,
            env=env,
            next_step="look at the backend for its effect, before it is submitted under another "
            "op_id; see what happened to the state Redis",
        ).detail(),
        seq=0,
        attempt=0,
        worker="",
        claimed_at=datetime.fromtimestamp(0, UTC),
        duration_ms=0.0,
    )


def parcel_of(entry: bytes) -> tuple[int, int]:
    """Return the parcel and the position that an entry of :ids: names."""
    name, position = entry.partition(b":")[0].split(b".")
    return int(name), int(position)
