"""Parcels: commands of one scope that are submitted, taken and ended together.

Ordinary commands (done at the first attempt, with nothing before them on their keys) are handled
here, for little more than the cost of one. Any other becomes a record of its own, in `Ledger`.
docs/ledger.md draws the states of both, and how a parcel's commands become records.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from signalbox.commands.clock import lease_clock
from signalbox.commands.ledger.entry import (
    Acceptance,
    Action,
    Claims,
    Finish,
    Finished,
    Intent,
    Parcel,
    Receipt,
    Ticket,
    Wake,
)
from signalbox.commands.ledger.fences import FenceQuestion
from signalbox.commands.ledger.ledger import FINISH, MAX_HANDOVER, SUBMIT, Ledger
from signalbox.commands.ledger.parcel_draft import Draft, read_draft, sort_out, submit_arguments
from signalbox.commands.ledger.parcel_end import end_arguments, unpack_arguments
from signalbox.commands.ledger.parcel_reader import ParcelReader
from signalbox.commands.ledger.script_reply import batched, read_wakes
from signalbox.commands.ledger.signing import Signer
from signalbox.commands.ledger.usage import MONTH_KEPT_DAYS, this_month
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.settings import Settings
from signalbox.commands.state import State

log = structlog.get_logger("signalbox.ledger")
_PACKAGE = "signalbox.commands.ledger"
_TIME, _PARCEL, _HOLD, _ERA, _ENTER = "time.lua", "parcel.lua", "hold.lua", "era.lua", "enter.lua"
SUBMIT_PARCELS = Script(_PACKAGE, _TIME, _PARCEL, _HOLD, "seq.lua", _ERA, "submit_parcels.lua")
TAKE = Script(_PACKAGE, _TIME, _PARCEL, _ERA, _ENTER, "take.lua")
END = Script(
    _PACKAGE,
    *(_TIME, _PARCEL, _HOLD, "order.lua", "use.lua", _ERA, _ENTER, "unpack.lua"),
    "end_parcels.lua",
)
LATE = Script(_PACKAGE, _TIME, _PARCEL, _HOLD, "order.lua", "unpack.lua", "late.lua")

RING_ALONE = 4
"""Up to this number of shards in a submit, each script puts a ring message of its own on the queue.
For more shards, one message rings for several; the client sends it when all have answered."""
MAX_TAKE = 400
"""Commands that one take returns; the last parcel may exceed it."""


@dataclass(frozen=True)
class Accepted:
    """Receipts in the order of the intents, and the wake-ups to publish now."""

    receipts: list[Receipt]
    wakes: list[Wake]


@dataclass(frozen=True)
class Take:
    """The result of one take."""

    claims: Claims
    wakes: list[Wake]
    """Ring messages to publish for help."""
    expected: list[str]
    """Shards to which the caller must come again: no message rings for them until then."""


class Parcels:
    """Accepts, takes and ends parcels. Thread-safe. Methods raise StateUnavailable."""

    def __init__(
        self,
        client: State,
        settings: Settings,
        ledger: Ledger,
        message: Callable[[str, str], str] | None = None,
        signer: Signer | None = None,
        *,
        trusting: bool = True,
    ) -> None:
        """`message` makes one that rings, of shard and queue, where the state Redis itself can put
        it on the queue; without it `accept` tells what is to be published. `signer` signs what is
        accepted. Unless `trusting`, what is taken is checked, whoever has sealed it."""
        self._signer = signer
        self._message = message
        self._client = client
        self._settings = settings
        self._ledger = ledger
        self._reader = ParcelReader(client, ledger.seen, trusting=trusting)

    def accept(self, intents: Sequence[Intent]) -> Accepted:
        """Record the intents: ordinary ones in parcels, the others as records.

        Takes one round trip, and a second one for commands that were left out of a parcel. Commands
        on one key take effect in the order of the intents.
        """
        drafts, others = sort_out(intents)
        signed = () if self._signer is None else (self._signer.sign(drafts, others),)
        by_shard: dict[str, list[Draft]] = {}
        for draft in drafts:
            command = draft.intents[0].command
            by_shard.setdefault(
                self._ledger.shards.shard(command.tenant_id, command.env), []
            ).append(draft)
        ring = self._message if len(by_shard) <= RING_ALONE else None
        calls = [
            SUBMIT_PARCELS.call([shard], submit_arguments(shard, group, self._settings, ring))
            for shard, group in by_shard.items()
        ]
        records = self._ledger.submit_calls(others, *signed)
        answers = run_pipeline(
            self._client, [*calls, *records.calls], [SUBMIT_PARCELS, SUBMIT], durable=True
        )
        receipts: dict[int, Receipt] = {}
        wakes: list[Wake] = []
        left: list[Intent] = []
        for group, answer in zip(by_shard.values(), answers, strict=False):
            wakes += read_wakes(answer[0])
            for draft, (name, out) in zip(group, batched(answer[1:], 2), strict=True):
                left += read_draft(draft, name.decode(), out, receipts)
        found = list(zip(others, records.read(answers[len(calls) :]), strict=True))
        if left:
            left_at = {id(intent): at for at, intent in enumerate(intents)}
            left.sort(key=lambda intent: left_at[id(intent)])
            found += zip(left, self._ledger.submit(left, *signed), strict=True)
        for intent, receipt in found:
            receipts[id(intent)] = receipt
            if receipt.acceptance is Acceptance.NEW:
                wakes.append(Wake(Ticket(receipt.ref, intent.command.op), intent.queue))
        return Accepted([receipts[id(intent)] for intent in intents], wakes)

    def take(
        self,
        shards: Sequence[str],
        queue: str,
        *,
        token: str,
        worker: str,
        rung: bool,
        back: timedelta = timedelta(0),
        back_for_more: timedelta = timedelta(0),
        scopes: Collection[str] = (),
    ) -> Take:
        """Take the ready parcels of a queue on some shards, with the fences of their scopes.

        `token` is unique to this take; a repeat with the same token returns the same parcels.
        `rung` says that a ring message woke the caller. The caller comes back after `back_for_more`
        to shards that returned something, and after `back` to the others (0: it does not); no
        message rings for them until then. The fences of `scopes` (`kind/tenant/env`) are read in
        the same round trip; those of other scopes take a second one. Fences are read after the
        take.
        """
        tags = [shard for shard in shards if shard in self._ledger.shards.tags]
        if len(tags) < len(shards):
            log.warning("rung for shards that this ledger does not have", shards=shards)
        if not tags:
            return Take(Claims(), [], [])
        grace = _milliseconds(self._settings.publish_grace)
        how = [queue, token, _milliseconds(self._settings.lease), MAX_TAKE // len(tags), worker]
        how += [int(rung), _milliseconds(back_for_more), _milliseconds(back), grace]
        calls = []
        for shard in tags:
            seen = self._ledger.seen.of(shard)
            calls.append(TAKE.call([shard], [*how, seen.epoch, seen.era, seen.clock]))
        asked = FenceQuestion.of(scopes)
        started = lease_clock()
        *answers, answer = run_pipeline(
            self._client, calls, [TAKE], after=[asked.call()], durable=True
        )
        taken = [self._reader.taken(*each, started) for each in zip(tags, answers, strict=True)]
        wanted = {f"{p.kind}/{p.tenant_env}" for each in taken for p in each.parcels}
        if not wanted <= set(asked.scopes):
            asked = FenceQuestion.of(wanted)
            [answer] = run_pipeline(self._client, [asked.call()], [])
        fences = asked.read(answer)
        claims = Claims(
            policies=fences.policies,
            epoch=fences.epoch,
            lost={each.shard: each.lost for each in taken if each.lost},
        )
        for each in taken:
            each.add_to(claims, token, fences)
        wakes = [wake for each in taken for wake in each.wakes]
        return Take(claims, wakes, [each.shard for each in taken if each.expected])

    def end(
        self,
        token: str,
        parcels: Sequence[Parcel],
        finishes: Sequence[Finish],
        *,
        crowded: bool = False,
    ) -> Finished:
        """End parcels, and all commands that `finishes` report as done.

        Other commands in them become records, and what `finishes` say of these is recorded in the
        same round trip. A command that `finishes` do not name continues, as a record under the same
        token.
        """
        told = {finish.ref: finish for finish in finishes}
        by_shard: dict[str, list[tuple[Parcel, list[Finish]]]] = {}
        ended: set[str] = set()
        for parcel in parcels:
            done = [
                told[ref] for ref in parcel.rows if ref in told and told[ref].action is Action.DONE
            ]
            ended.update(finish.ref for finish in done)
            by_shard.setdefault(parcel.shard, []).append((parcel, done))
        window, together = self._ledger.window(crowded=crowded)
        head = [token, _milliseconds(self._settings.publish_grace), MAX_HANDOVER, this_month()]
        head += [MONTH_KEPT_DAYS * 86400, window, together]
        calls = []
        for shard, group in by_shard.items():
            arguments: list[Any] = list(head)
            for parcel, done in group:
                arguments += end_arguments(parcel, done, told)
            calls.append(END.call([shard], arguments))
        others = self._ledger.finish_calls(
            token, [finish for finish in finishes if finish.ref not in ended], crowded=crowded
        )
        answers = run_pipeline(self._client, [*calls, *others.calls], [END, FINISH], durable=True)
        others_ended = others.read(answers[len(calls) :])
        refused, wakes = others_ended.refused, others_ended.wakes
        # A parcel that is another's now may have been opened under this token, at the end of its
        # lease: what nobody claimed since is accepted as the end of a record.
        retold: list[Finish] = []
        for (shard, group), answer in zip(by_shard.items(), answers, strict=False):
            accepted, woken, clock, era = answer
            self._ledger.seen.finished(shard, era.decode(), clock)
            wakes += read_wakes(woken)
            for (_, done), ok in zip(group, accepted, strict=True):
                retold += [] if ok else done
        if retold:
            more = self._ledger.finish(token, retold, crowded=crowded)
            refused += more.refused
            wakes += more.wakes
        return Finished(refused, wakes)

    def open_late(self, late: Sequence[tuple[str, Sequence[bytes]]]) -> int:
        """Make records of the commands in parcels whose lease has expired; return the number of
        parcels.

        Each item is the shard, and the name, :par and content as due.lua returns them.
        """
        calls = []
        for shard, (name, text, content) in late:
            parcel = self._reader.parcel(shard, name, text, content)
            rows = unpack_arguments(parcel, parcel.rows, {})
            calls.append(LATE.call([shard], [name, text, len(parcel.keys), *parcel.keys, *rows]))
        return sum(run_pipeline(self._client, calls, [LATE]))


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
