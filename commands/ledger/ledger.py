"""The ledger: the record of all accepted commands and their outcomes. Messages only wake workers.

Each method takes one round trip for any number of commands and scopes: one script for each shard,
in one pipeline. Every script can be repeated, so a caller that got no answer calls it again. All
methods raise StateUnavailable.

Keys of a shard (by tenant and env; see shard.py), all under its hash tag:

    :op:<ref>      hash    one command: state, JSON, fingerprint, seq, attempt, lease, outcome
    :ord:<key>     list    refs of the open writes on one order key, as accepted
    :due           zset    every open command, by the time at which the reconciler looks at it
    :hold:<scope>  list    op, queue and ref of open commands that are not on the queue yet
    :holds         zset    the scopes with such commands, by the time when some were last released
    :dead          zset    dead letters by time
    :faults        zset    dead letters that are no commands, by time; `:faults:known` those of
                           tenants whose commands have run, `:faultsize` their sizes (fault.lua)
    :open          hash    open commands, by tenant and env, and by tenant, env and kind
    :count         hash    accepted, claimed, running, done, dead, retry, release, park, died,
                           refused, woken, replayed, purged; of documents that are no commands,
                           dropped (by reason: dropped_room, dropped_share of their tenant,
                           dropped_old) and again (kept already); of commands that ran although
                           they are not proven, unproven (and by code)
    :use:<scope>   hash    what is stored in a scope, and the last results of its backend; with
                           `:<month>` appended, the use of the scope in that month
    :rate:<tenant/env>  hash  the token bucket of its commands per second
    :line:<scope>  zset    refs of open commands that wait for that rate, by seq
    :lines         set     the scopes with such commands
    :going:<tenant/env>  set  refs that were released from their line and are not claimed yet
    :seq, :clock   counters of acceptances, and of claims and finishes
    :met:<period>:<part>  hash  writes that came without our client; see stranger.lua
    :era, :eras    hashes  which server process serves this history since when, and how far the
                           ledger's time is ahead of its; see era.lua and time.lua
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Generic, TypeVar

from signalbox.commands.clock import lease_clock
from signalbox.commands.ledger.entry import (
    Acceptance,
    Action,
    Apart,
    Burial,
    Claims,
    Due,
    Finish,
    Finished,
    Intent,
    Receipt,
    Ticket,
    Wake,
)
from signalbox.commands.ledger.era import Position, Seen
from signalbox.commands.ledger.fences import FenceQuestion
from signalbox.commands.ledger.lease import lease_left
from signalbox.commands.ledger.proven import digest_of, with_proof
from signalbox.commands.ledger.reader import LedgerReader
from signalbox.commands.ledger.record_fields import record_fields
from signalbox.commands.ledger.script_reply import (
    batched,
    read_wakes,
    sort_claim,
)
from signalbox.commands.ledger.usage import MONTH_KEPT_DAYS, this_month
from signalbox.commands.outcome import Outcome
from signalbox.commands.ref import Ref, split_ref
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.settings import Settings
from signalbox.commands.state import State

T = TypeVar("T")

_PACKAGE = "signalbox.commands.ledger"
_TIME, _PARCEL, _HOLD, _ORDER = "time.lua", "parcel.lua", "hold.lua", "order.lua"
_SEQ, _ERA, _ENTER = "seq.lua", "era.lua", "enter.lua"
_ACCEPT = (_TIME, _PARCEL, _HOLD, _ORDER, _SEQ, _ERA, "stranger.lua")
SUBMIT = Script(_PACKAGE, *_ACCEPT, "submit.lua")
CLAIM = Script(_PACKAGE, _TIME, _PARCEL, _HOLD, _ERA, _ENTER, "claim.lua")
_END = (_TIME, _PARCEL, _HOLD, _ORDER, "use.lua", _ERA, _ENTER)
FINISH = Script(_PACKAGE, *_END, "fault.lua", "stranger.lua", "finish.lua")
RENEW = Script(_PACKAGE, _TIME, _PARCEL, "renew.lua")
DUE = Script(_PACKAGE, _TIME, _PARCEL, _HOLD, "due.lua")
BURY = Script(_PACKAGE, "fault.lua", "bury.lua")

IN_PARCEL = b"+"
"""What submit.lua returns instead of an outcome that is among those of a parcel."""
MAX_FAULTS, MAX_FAULT_BYTES = 16_000, 32 * 1024 * 1024
"""Maximum number and bytes of dead letters in the ledger that are no commands. Each shard has an
equal part of it, and a tenant and env a quarter of that."""
MAX_HANDOVER = 100
"""Commands of one order key that are woken together, so that a hot key runs in batches."""
MAX_TOGETHER = 100
"""Maximum number of held commands of one scope that are released together."""
WITHOUT_WINDOW = 1000
"""Commands of a scope on the queue if there is no window any more, until none is held."""
CROWDED_SHARE = 8
"""While other tenants are active, a scope has this fraction of its window."""


class Ledger(LedgerReader):
    """Accepted commands and their outcomes, in the state Redis. Thread-safe."""

    def __init__(self, client: State, settings: Settings) -> None:
        super().__init__(client)
        self._settings = settings
        self.seen = Seen()

    def submit(
        self,
        intents: Sequence[Intent],
        proof_of: Callable[[Intent], str] = attrgetter("proof"),
        *,
        foreign: bool = False,
    ) -> list[Receipt]:
        """Record the intents; an op_id that is known is not recorded again.

        `foreign` ones may be sent again by others, like messages, and are known for as long.
        """
        asked = self.submit_calls(intents, proof_of, foreign=foreign)
        return asked.read(run_pipeline(self._client, asked.calls, [SUBMIT], durable=True))

    def submit_calls(
        self,
        intents: Sequence[Intent],
        proof_of: Callable[[Intent], str] = attrgetter("proof"),
        *,
        foreign: bool = False,
    ) -> PipelineCalls[list[Receipt]]:
        """The calls of `submit`, for a pipeline with other calls."""
        by_shard = self._group(intents, key=lambda intent: intent.command.ref)
        limit, window = self._settings.max_open, self._settings.tenant_window
        memory = _milliseconds(self._settings.foreign_memory) if foreign else 0
        calls = [
            self._submit_call(shard, group, limit, window, proof_of, memory)
            for shard, group in by_shard.items()
        ]

        def read(answers: Sequence[Any]) -> list[Receipt]:
            receipts: dict[int, Receipt] = {}
            elsewhere: list[Intent] = []
            for group, answer in zip(by_shard.values(), answers, strict=True):
                for intent, (status, seq, outcome) in zip(group, batched(answer, 3), strict=True):
                    if outcome == IN_PARCEL:
                        elsewhere.append(intent)
                    receipts[id(intent)] = Receipt(
                        ref=intent.command.ref,
                        acceptance=Acceptance(status.decode()),
                        seq=int(seq),
                        outcome=Outcome.model_validate_json(outcome)
                        if outcome not in (b"", IN_PARCEL)
                        else None,
                    )
            if elsewhere:
                found = self.outcomes([intent.command.ref for intent in elsewhere])
                for intent, outcome in zip(elsewhere, found, strict=True):
                    receipts[id(intent)] = replace(receipts[id(intent)], outcome=outcome)
            return [receipts[id(intent)] for intent in intents]

        return PipelineCalls(calls, read)

    def claim(
        self,
        tickets: Sequence[Ticket],
        *,
        token: str,
        worker: str,
        carried: Sequence[Intent] = (),
        apart: Apart = Apart.NO,
    ) -> Claims:
        """Claim the commands that may run now, and read the fence of every route that they need.

        `token` is unique to this call; a repeat with the same token returns the same commands.
        `carried` commands came whole in a message and are not in the ledger yet: they are recorded
        first, in the same round trip. The fences are read after the claims, so every route change
        that was acknowledged before the claim is seen. Suspects are claimed only if nothing runs
        beside them (`apart`); otherwise they are named.

        If the ledger has lost something that this object has seen, `Claims.lost` says so: commands
        that were claimed there must be given back.
        """
        tickets = [*tickets, *(Ticket(i.command.ref, i.command.op) for i in carried)]
        # A message may name one twice; given twice, it would run twice.
        tickets = list(dict.fromkeys(tickets))
        if not tickets:
            return Claims()
        carried_by_shard = self._group(carried, key=lambda intent: intent.command.ref)
        # What a message brought is here already: it is not turned away, however many are open.
        memory = _milliseconds(self._settings.foreign_memory)
        calls = [
            self._submit_call(shard, group, 0, 0, memory=memory)
            for shard, group in carried_by_shard.items()
        ]
        by_shard = self._group(tickets, key=lambda ticket: ticket.ref)
        settings: list[Any] = [token, _milliseconds(self._settings.lease)]
        settings += [self._settings.max_attempts, worker, self._settings.max_deaths, int(apart)]
        for shard, group in by_shard.items():
            seen = self.seen.of(shard)
            arguments = [*settings, seen.epoch, seen.era, seen.clock]
            for ticket in group:
                arguments += [ticket.ref, ticket.op]
            calls.append(CLAIM.call([shard], arguments))
        asked = FenceQuestion.of(_route_field(ticket) for ticket in tickets)
        started = lease_clock()
        scripts = [SUBMIT, CLAIM]
        answers = run_pipeline(self._client, calls, scripts, after=[asked.call()], durable=True)
        fences = asked.read(answers[-1])
        claims = Claims(epoch=fences.epoch, policies=fences.policies)
        # Fewer groups than answers: those of the submits come first.
        for intents, answer in zip(carried_by_shard.values(), answers, strict=False):
            for intent, status in zip(intents, answer[0::3], strict=True):
                if status == b"conflict":
                    claims.conflicts.append(intent.command)
        for (shard, group), answer in zip(
            by_shard.items(), answers[len(carried_by_shard) : -1], strict=True
        ):
            time_us, epoch, era, clock, lost = answer[:5]
            if lost:
                claims.lost[shard] = lost.decode()
            else:
                self.seen.claimed(shard, Position(epoch.decode(), era.decode(), int(clock)))
            claimed_at = datetime.fromtimestamp(int(time_us) / 1e6, UTC)
            for ticket, row in zip(group, batched(answer[5:], 9), strict=True):
                fence = fences.routes[_route_field(ticket)]
                sort_claim(claims, ticket, row, token, claimed_at, started, fence)
        return claims

    def finish(self, token: str, finishes: Sequence[Finish], *, crowded: bool = False) -> Finished:
        """Record outcomes and end the commands whose leases `token` still holds.

        Returns the commands that waited for these and are to be woken now. Fewer held commands are
        among them if other tenants are active (`crowded`).
        """
        asked = self.finish_calls(token, finishes, crowded=crowded)
        return asked.read(run_pipeline(self._client, asked.calls, [FINISH], durable=True))

    def finish_calls(
        self, token: str, finishes: Sequence[Finish], *, crowded: bool
    ) -> PipelineCalls[Finished]:
        """The calls of `finish`, for a pipeline with other calls."""
        window, together = self.window(crowded=crowded)
        by_shard = self._group(finishes, key=lambda finish: finish.ref)
        calls = []
        for shard, group in by_shard.items():
            arguments: list[Any] = [token, _milliseconds(self._settings.publish_grace)]
            arguments += [MAX_HANDOVER, this_month(), MONTH_KEPT_DAYS * 86400]
            arguments += [window, together, self._room()]
            arguments.append(_milliseconds(self._settings.foreign_memory))
            for finish in group:
                arguments += [finish.ref, finish.action.value, _outcome_text(finish)]
                use = finish.usage.packed() if finish.usage else ""
                arguments += [_milliseconds(finish.delay), finish.message or use]
            calls.append(FINISH.call([shard], arguments))

        def read(answers: Sequence[Any]) -> Finished:
            refused: list[str] = []
            wakes: list[Wake] = []
            for (shard, group), answer in zip(by_shard.items(), answers, strict=True):
                accepted, woken, clock, era = answer
                self.seen.finished(shard, era.decode(), clock)
                refused += [f.ref for f, ok in zip(group, accepted, strict=True) if not ok]
                wakes += read_wakes(woken)
            return Finished(refused, wakes)

        return PipelineCalls(calls, read)

    def window(self, *, crowded: bool) -> tuple[int, int]:
        """Maximum number of commands of a scope on the queue (0: unlimited), and of held ones that
        are released together. Smaller if other tenants are active (`crowded`)."""
        window = self._settings.tenant_window
        if crowded and window:
            window = max(1, window // CROWDED_SHARE)
        return window, _together(window)

    def lease_left(self, ref: Ref, token: str) -> timedelta | None:
        """Time left of a claim's lease; see `lease_left` in `commands/ledger/lease.py`."""
        return lease_left(self._client, ref, token)

    def renew(self, ref: Ref, token: str, seconds: float) -> bool:
        """Extend a command's lease to at least this long from now. Returns False if `token` does
        not hold it any more. Raises StateUnavailable."""
        call = RENEW.call([self.shards.of(ref)], [token, ref, int(seconds * 1000)])
        answer: list[Any] = run_pipeline(self._client, [call], [RENEW])
        return bool(answer[0])

    def bury(self, letters: Sequence[Burial]) -> list[bool]:
        """Store documents that are no commands as dead letters; return False where the name is
        taken.

        The name may be taken by another document or by a command. A document that is stored already
        is not stored twice. If there are too many, the oldest are removed and counted as `dropped`.
        """
        calls = [
            BURY.call(
                [self.shards.of(letter.ref)],
                [
                    self._room(),
                    letter.ref,
                    letter.op,
                    letter.document,
                    letter.outcome.model_dump_json(),
                ],
            )
            for letter in letters
        ]
        return [answer >= 0 for answer in run_pipeline(self._client, calls, [BURY], durable=True)]

    def count_unproven(self, found: Sequence[tuple[Ref, str]]) -> None:
        """Count commands that are run although they are not proven, each with its error's code."""
        names = ((self.shards.of(ref), name) for ref, code in found for name in ("", f"_{code}"))
        numbers = Counter((shard, f"unproven{name}".lower()) for shard, name in names)
        calls = [("HINCRBY", f"{shard}:count", name, n) for (shard, name), n in numbers.items()]
        run_pipeline(self._client, calls, [])

    def forget_faults(self) -> None:
        """Remove dead letters that are no commands and are old enough."""
        calls = [BURY.call([shard], [self._room()]) for shard in self.shards.tags]
        run_pipeline(self._client, calls, [BURY])

    def _room(self) -> str:
        """What a shard has for dead letters that are no commands, as fault.lua reads it."""
        kept, shards = _milliseconds(self._settings.refused_retention), self.shards.number
        return f"{kept} {max(1, MAX_FAULTS // shards)} {max(1, MAX_FAULT_BYTES // shards)}"

    def due(self, limit: int = 200, shards: Sequence[str] | None = None) -> Due:
        """Return due commands, at most `limit` of each shard, and set their next due time."""
        grace, window = _milliseconds(self._settings.publish_grace), self._settings.tenant_window
        # Commands that are held although there is no window were accepted when there was one.
        together, held_ms = (_together(window), grace) if window else (WITHOUT_WINDOW, 0)
        tags = self.shards.tags if shards is None else shards
        calls = [DUE.call([shard], [limit, grace, together, held_ms]) for shard in tags]
        answers = run_pipeline(self._client, calls, [DUE])
        wakes = [wake for _, woken, _ in answers for wake in read_wakes(woken)]
        late = [
            (shard, row)
            for shard, (_, _, rows) in zip(tags, answers, strict=True)
            for row in batched(rows, 3)
        ]
        return Due(wakes, any(more for more, _, _ in answers), late)

    def _group(self, items: Sequence[T], key: Callable[[T], str]) -> dict[str, list[T]]:
        """Group items by shard, in their order."""
        groups: dict[str, list[T]] = {}
        shards = self.shards
        for item in items:
            groups.setdefault(shards.of(key(item)), []).append(item)
        return groups

    def _submit_call(
        self,
        shard: str,
        intents: Iterable[Intent],
        limit: int,
        window: int,
        proof_of: Callable[[Intent], str] = attrgetter("proof"),
        memory: int = 0,
    ) -> tuple[Any, ...]:
        arguments: list[Any] = [_milliseconds(self._settings.publish_grace), limit, window]
        for intent in intents:
            command = intent.command
            fields = record_fields(command)
            keep = (
                self._settings.outcome_retention
                if command.writes
                else self._settings.read_retention
            )
            arguments += [
                fields.ref,
                fields.fingerprint,
                fields.op,
                intent.queue,
                fields.order,
                with_proof(fields.text, proof_of(intent)),
                _milliseconds(keep),
                intent.reply_to,
                fields.extra_lease,
                _memory(memory, intent) if command.writes else 0,
            ]
        return SUBMIT.call([shard], arguments)


@dataclass(frozen=True)
class PipelineCalls(Generic[T]):
    """Calls for a pipeline, and the function that reads their answers."""

    calls: list[tuple[Any, ...]]
    read: Callable[[Sequence[Any]], T]


def _memory(memory: int, intent: Intent) -> int | str:
    """How long what a message brought is known, and the signed message beside it."""
    if not memory or not intent.proof:
        return memory
    return f"{memory}:{digest_of(intent.proof)}"


def _together(window: int) -> int:
    """At most half a window, so that the other half runs meanwhile."""
    return max(1, min(MAX_TOGETHER, window // 2))


def _outcome_text(finish: Finish) -> str:
    """The outcome, or, for a command that will be retried, the error that it waits for."""
    if finish.outcome is None:
        return ""
    if finish.action in (Action.DONE, Action.DEAD, Action.REFUSE):
        return finish.outcome.model_dump_json()
    return finish.outcome.error.model_dump_json() if finish.outcome.error else ""


def _route_field(ticket: Ticket) -> str:
    tenant_id, env, _ = split_ref(ticket.ref)
    return f"{ticket.op.partition('.')[0]}/{tenant_id}/{env}"


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
