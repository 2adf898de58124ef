"""Signs submissions: one manifest for the writes of a submit, and one for its reads.

There are two since a signature must not be valid for longer than the outcome is kept, so that the
ledger recognises a repeated command; outcomes of reads are kept for minutes only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from signalbox.commands.error import InvalidSetting
from signalbox.commands.ledger.entry import Intent
from signalbox.commands.ledger.parcel_draft import Draft
from signalbox.commands.parse import known_ops
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.proof.manifest import Group, Manifest, Times
from signalbox.commands.proof.statement import LEEWAY
from signalbox.commands.proof.trust import key_of
from signalbox.commands.settings import Settings

ACCEPT_WITHIN = timedelta(minutes=5)
"""How long after its signature the ledger may accept a submission. Each attempt is signed anew."""
_ACCEPT_SECONDS = int(ACCEPT_WITHIN.total_seconds())


def longest_life(retention: timedelta) -> timedelta:
    """Return the longest life of a signature on commands whose outcomes are kept for so long.

    The outcome exists until the signature has expired by the clock of every verifier.
    """
    return retention - 2 * LEEWAY


@dataclass(frozen=True)
class Signer:
    """Signs submissions with the key of this process."""

    key: PrivateKey
    """The key."""
    audience: str
    """Name of the deployment."""
    life: timedelta
    """How long a signature on writes is valid."""
    read_life: timedelta
    """The same for reads."""

    @classmethod
    def of(cls, settings: Settings) -> Signer | None:
        """Return the signer of the settings; None if they name no key. Raises InvalidSetting."""
        key = key_of(settings)
        if key is None:
            return None
        if settings.audience is None:
            raise InvalidSetting(
                "SIGNALBOX_AUDIENCE: it names the deployment that signatures are for, and must be "
                "set with SIGNALBOX_KEY_FILE",
                next_step="set it to what the workers have",
            )
        most = settings.signature_lifetime
        lives = [
            min(most, longest_life(kept))
            for kept in (settings.outcome_retention, settings.read_retention)
        ]
        if min(lives) <= timedelta(0):
            raise InvalidSetting(
                "SIGNALBOX_OUTCOME_RETENTION, SIGNALBOX_READ_RETENTION: where commands are signed, "
                f"outcomes are kept for more than {2 * LEEWAY}",
                next_step="set both to more than that, or sign nothing",
            )
        return cls(key, settings.audience, *lives)

    def sign(self, drafts: Sequence[Draft], others: Sequence[Intent]) -> Callable[[Intent], str]:
        """Give each parcel its proof; return a function that proves single commands.

        It is called for commands that become records, also for those that the ledger leaves out of
        their parcel.
        """
        manifests: dict[bool, Manifest] = {}
        signed: dict[bool, list[Sequence[Intent]]] = {}
        for writes in (True, False):
            groups: list[Group] = []
            parcels = [draft for draft in drafts if draft.intents[0].command.writes is writes]
            singly = [intent for intent in others if intent.command.writes is writes]
            groups += [Group(map(_text, each.intents), each.content) for each in parcels]
            groups += [Group([_text(intent)]) for intent in singly]
            signed[writes] = [*(draft.intents for draft in parcels), *([one] for one in singly)]
            if not groups:
                continue
            life = self.life if writes else self.read_life
            manifest = manifests[writes] = Manifest.sign(
                groups, self.key, self.audience, _times(life)
            )
            for group, draft in enumerate(parcels):
                draft.proof = manifest.parcel(group).to_text()

        positions: dict[int, tuple[bool, int, int]] = {}

        def proof_of(intent: Intent) -> str:
            if not positions:
                # Ordinarily nobody asks.
                for writes, groups in signed.items():
                    for group, its in enumerate(groups):
                        positions.update(
                            (id(each), (writes, group, i)) for i, each in enumerate(its)
                        )
            writes, group, index = positions[id(intent)]
            return manifests[writes].command(group, index).to_text()

        return proof_of

    def sign_again(self, commands: Sequence[tuple[str, bytes]]) -> list[str]:
        """Return a proof of each command, given as its op and the JSON in its record."""
        groups = [Group([text]) for _, text in commands]
        if not groups:
            return []
        models = known_ops()
        writes = all(op in models and models[op].writes for op, _ in commands)
        times = _times(self.life if writes else self.read_life)
        manifest = Manifest.sign(groups, self.key, self.audience, times)
        return [manifest.command(group, 0).to_text() for group in range(len(groups))]


def _text(intent: Intent) -> bytes:
    """Return what `model_dump_json` returns, in less time."""
    command = intent.command
    return command.__pydantic_serializer__.to_json(command)


def _times(life: timedelta) -> Times:
    now, seconds = int(time.time()), int(life.total_seconds())
    return Times(now, now + seconds, now + min(seconds, _ACCEPT_SECONDS))
