"""Dead letters: commands that failed permanently, and documents that are no commands.

Commands are kept until someone replays or purges them. Of documents that are no commands, the
oldest are dropped when there are too many (`fault.lua`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from signalbox.commands.ledger.entry import Ticket, Wake
from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.ledger.proven import split_proof, with_proof
from signalbox.commands.ledger.signing import Signer
from signalbox.commands.outcome import Outcome
from signalbox.commands.ref import Ref, split_ref
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.settings import Settings
from signalbox.commands.state import State

REPLAY = Script(
    "signalbox.commands.ledger",
    *("time.lua", "parcel.lua", "hold.lua", "order.lua", "seq.lua"),
    "replay.lua",
)
PURGE = Script("signalbox.commands.ledger", "stranger.lua", "purge.lua")
_PAGE = 500
_FIELDS = ("op", "fp", "cmd", "out", "att")


@dataclass(frozen=True)
class Which:
    """A filter for dead letters; None matches any."""

    tenant_id: str | None = None
    env: str | None = None
    kind: str | None = None
    code: str | None = None
    older_than: timedelta | None = None


@dataclass(frozen=True)
class DeadLetter:
    """One dead letter, with what is needed to judge it."""

    ref: Ref
    op: str
    document: str
    """The command as JSON, or the document that is no command."""
    is_command: bool
    attempts: int
    died_at: datetime
    outcome: Outcome

    @property
    def code(self) -> str:
        return self.outcome.error.code if self.outcome.error else ""


@dataclass(frozen=True)
class Replayed:
    """The result of a replay: the wake-ups to publish, and why some letters were not replayed."""

    wakes: list[Wake]
    left: dict[str, str]


class DeadLetters:
    """Lists, replays and purges dead letters. Methods raise StateUnavailable."""

    def __init__(self, client: State, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def find(self, which: Which) -> Iterator[DeadLetter]:
        """Yield the matching letters, oldest first in each shard; pages are read as needed."""
        shards: Sequence[str] = shards_of(self._client).tags
        if which.tenant_id and which.env:
            shards = [shards_of(self._client).shard(which.tenant_id, which.env)]
        until: Any = "+inf"
        if which.older_than is not None:
            until = int((datetime.now(UTC) - which.older_than).timestamp() * 1000)
        for shard in shards:
            # The names are taken first: a replay while reading would shift the pages.
            rows = self._client.call("ZRANGEBYSCORE", f"{shard}:dead", "-inf", until, "WITHSCORES")
            for start in range(0, len(rows), _PAGE):
                page = [(ref.decode(), at) for ref, at in rows[start : start + _PAGE]]
                page = [(ref, at) for ref, at in page if _meant(which, ref)]
                for letter in self._read(page):
                    if which.kind not in (None, letter.op.partition(".")[0]):
                        continue
                    if which.code in (None, letter.code):
                        yield letter

    def get(self, ref: Ref) -> DeadLetter | None:
        at = self._client.call("ZSCORE", f"{shards_of(self._client).of(ref)}:dead", ref)
        return next(self._read([(ref, at)]), None) if at is not None else None

    def replay(self, refs: Sequence[Ref], signer: Signer | None = None) -> Replayed:
        """Accept commands again under their op_ids, each at the end of the order of its key; one
        round trip, and with a `signer` two.

        The effect of an earlier attempt is not repeated: the next attempt looks before it writes.
        A signature is for the number that a command had, so whoever replays it signs it anew.
        """
        grace = self._settings.publish_grace // timedelta(milliseconds=1)
        groups = self._by_shard(refs)
        signed = self._signed(refs, signer) if signer is not None else {}
        calls = []
        for shard, group in groups.items():
            pairs = [part for ref in group for part in (ref, signed.get(ref, ""))]
            calls.append(REPLAY.call([shard], [grace, *pairs]))
        wakes: list[Wake] = []
        left: dict[str, str] = {}
        answers = run_pipeline(self._client, calls, [REPLAY], durable=True)
        for group, answer in zip(groups.values(), answers, strict=True):
            for ref, status, op, queue in zip(
                group, answer[::3], answer[1::3], answer[2::3], strict=True
            ):
                if status == b"new":
                    wakes.append(Wake(Ticket(ref, op.decode()), queue.decode()))
                else:
                    left[ref] = status.decode()
        return Replayed(wakes, left)

    def _signed(self, refs: Sequence[Ref], signer: Signer) -> dict[str, str]:
        """The commands as they stand there, each with a signature of ours."""
        shards = shards_of(self._client)
        calls = [("HMGET", f"{shards.of(ref)}:op:{ref}", "op", "cmd") for ref in refs]
        found = {
            ref: (op.decode(), split_proof(cmd)[0])
            for ref, (op, cmd) in zip(refs, run_pipeline(self._client, calls, []), strict=True)
            if op is not None and cmd
        }
        return {
            ref: with_proof(found[ref][1].decode(), proof)
            for ref, proof in zip(found, signer.sign_again([*found.values()]), strict=True)
        }

    def purge(self, refs: Sequence[Ref]) -> list[str]:
        """Remove letters; return the refs of those that existed. Their op_ids may be used again."""
        groups = self._by_shard(refs)
        memory = self._settings.foreign_memory // timedelta(milliseconds=1)
        calls = [PURGE.call([shard], [memory, *group]) for shard, group in groups.items()]
        answers = run_pipeline(self._client, calls, [PURGE], durable=True)
        return [
            ref
            for group, answer in zip(groups.values(), answers, strict=True)
            for ref, purged in zip(group, answer, strict=True)
            if purged
        ]

    def _by_shard(self, refs: Sequence[Ref]) -> dict[str, list[str]]:
        shards, groups = shards_of(self._client), dict[str, list[str]]()
        for ref in refs:
            groups.setdefault(shards.of(ref), []).append(ref)
        return groups

    def _read(self, page: Sequence[tuple[str, float]]) -> Iterator[DeadLetter]:
        shards = shards_of(self._client)
        calls = [("HMGET", f"{shards.of(ref)}:op:{ref}", *_FIELDS) for ref, _ in page]
        for (ref, at), row in zip(page, run_pipeline(self._client, calls, []), strict=True):
            op, fingerprint, document, outcome, attempts = row
            if outcome is not None:
                yield DeadLetter(
                    ref=ref,
                    op=op.decode(),
                    document=split_proof(document or b"")[0].decode(),
                    is_command=fingerprint != b"",
                    attempts=int(attempts),
                    died_at=datetime.fromtimestamp(at / 1000, UTC),
                    outcome=Outcome.model_validate_json(outcome),
                )


def _meant(which: Which, ref: Ref) -> bool:
    tenant_id, env, _ = split_ref(ref)
    return which.tenant_id in (None, tenant_id) and which.env in (None, env)
