"""Attacks by who can write to the ledger: records and parcels written by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from signalbox.commands.ledger.parcel import seal
from signalbox.commands.ledger.proven import disclose, enclose, proofs_of
from signalbox.commands.ledger.signing import longest_life
from signalbox.commands.object_store import PutObject
from signalbox.commands.proof.manifest import Group
from tests.integration.attacks.attacker import Attacker, Draw, Site
from tests.integration.attacks.forgery import DAY, Forgery
from tests.integration.attacks.ledger_writes import (
    manifest,
    proof_by,
    sealed_by,
    write_parcel,
    write_record,
)

Record = tuple[PutObject, str, dict[str, Any]]
"""A command, the proof behind it, and fields of its record."""
Parcel = tuple[list[PutObject], bytes, int]
"""Commands, the content, and by how many microseconds its name is of another time."""


class Records:
    """Draws records for an attacker."""

    def __init__(self, attacker: Attacker) -> None:
        self.attacker = attacker
        self.random, self.victim = attacker.random, attacker.victim
        cut, flipped = attacker.forgeries.cut, attacker.forgeries.flipped
        future = int((time.time() + 30 * DAY) * 1e6)
        kinds: dict[str, Callable[[], Record]] = {
            name: self.forged(draw) for name, draw in _forgeries(attacker).items()
        }
        kinds |= {
            "unsigned": lambda: (self.victim(), "", {}),
            "unsigned, as a takeover": lambda: (self.victim(), "", {"att": 3}),
            "unsigned, attempts used up": lambda: (self.victim(), "", {"att": 99}),
            "unsigned, not readable": lambda: (self.victim(), "", {"cmd": "{}"}),
            "number of the future": self.with_fields(seq=future),
            "number of the past": self.with_fields(seq=1),
            "proof of another command": self.proof_of_another(str),
            "proof, cut": self.proof_of_another(cut),
            "proof, a bit flipped": self.proof_of_another(flipped),
            "path without its token": self.proof_of_another(lambda p: p.partition(" ")[2]),
            "parcel's proof": self.parcels_proof,
            "path of a neighbour": self.path_of_neighbour,
            "signed message of another": self.message_of_another,
            "copied under another name": self.copied,
        }
        self.kinds: dict[str, Draw] = {name: self.writing(draw) for name, draw in kinds.items()}
        self.kinds["replayed"] = self.replay
        self.kinds["replayed, out of its parcel"] = self.replay_of_parcel

    def writing(self, draw: Callable[[], Record]) -> Draw:
        return lambda: write_record(self.attacker.site, *draw())

    def forged(self, draw: Callable[[], Forgery]) -> Callable[[], Record]:
        def make() -> Record:
            command = self.victim()
            return command, proof_by(self.attacker.owner, command, draw().of), {}

        return make

    def with_fields(self, **fields: Any) -> Callable[[], Record]:
        def make() -> Record:
            command = self.victim()
            return command, proof_by(self.attacker.owner, command), fields

        return make

    def proof_of_another(self, change: Callable[[str], str]) -> Callable[[], Record]:
        def make() -> Record:
            _, text = self.random.choice(self.attacker.loot.records)
            return self.victim(), change(text.decode().split("\n")[1]), {}

        return make

    def replay(self) -> None:
        """What has run is put there again, as if the ledger had never known it."""
        command, text = self.random.choice(self.attacker.loot.records)
        document, _, proof = text.decode().partition("\n")
        number = self.random.choice(self.numbers(command))
        _forget(self.attacker.site, [command])
        fields = {"cmd": f"{document}\n{proof}"} | number
        write_record(self.attacker.site, command, proof, fields)

    def numbers(self, command: PutObject) -> list[dict[str, Any]]:
        """Fields that say when it was accepted: now, or as the first time."""
        first = self.attacker.first_numbers[command.op_id]
        return [{}, {"mark": first}, {"mark": first, "att": 1}]

    def replay_of_parcel(self) -> None:
        """The same with a command that has run in a parcel."""
        commands, content = self.random.choice(self.attacker.loot.parcels)
        position = self.random.randrange(len(commands))
        command = commands[position]
        signed = proofs_of(*disclose(content))(position)
        assert signed is not None
        _forget(self.attacker.site, [command])
        fields = {"cmd": f"{signed.text.decode()}\n{signed.proof}"}
        write_record(self.attacker.site, command, signed.proof, fields)

    def parcels_proof(self) -> Record:
        _, content = self.random.choice(self.attacker.loot.parcels)
        size = int.from_bytes(content[4:8], "big")
        return self.victim(), content[8 : 8 + size].decode(), {}

    def path_of_neighbour(self) -> Record:
        """A path of the attacker's own tree, under the owner's token."""
        command = self.victim()
        groups = [Group([command.model_dump_json().encode()])]
        mine = manifest(self.attacker.own, groups).command(0, 0)
        return command, replace(mine, token=self.attacker.manifest_token()).to_text(), {}

    def message_of_another(self) -> Record:
        return self.victim(), self.random.choice(self.attacker.loot.tokens), {}

    def copied(self) -> Record:
        command, text = self.random.choice(self.attacker.loot.records)
        return self.victim(), "", {"cmd": text, "op": command.op}


class Parcels:
    """Draws parcels for an attacker."""

    def __init__(self, attacker: Attacker) -> None:
        self.attacker = attacker
        self.random = attacker.random
        cut, flipped = attacker.forgeries.cut, attacker.forgeries.flipped
        month = 30 * DAY * 10**6
        kinds: dict[str, Callable[[], Parcel]] = {
            name: self.forged(draw) for name, draw in _forgeries(attacker).items()
        }
        kinds |= {
            "unsigned": self.unsigned,
            "number of the future": self.named(month),
            "number of the past": self.named(-month),
            "proof of another command": self.proof_of_another(str),
            "proof, cut": self.proof_of_another(cut),
            "proof, a bit flipped": self.proof_of_another(flipped),
            "record's proof": self.records_proof,
            "signed message of another": self.message_of_another,
        }
        self.kinds: dict[str, Draw] = {name: self.writing(draw) for name, draw in kinds.items()}
        self.kinds["replayed"] = self.replay

    def writing(self, draw: Callable[[], Parcel]) -> Draw:
        return lambda: write_parcel(self.attacker.site, *draw())

    def replay(self) -> None:
        """What has run is put there again, under a new name."""
        commands, content = self.random.choice(self.attacker.loot.parcels)
        _forget(self.attacker.site, commands)
        write_parcel(self.attacker.site, commands, content)

    def victims(self) -> list[PutObject]:
        return [self.attacker.victim() for _ in range(3)]

    def forged(self, draw: Callable[[], Forgery]) -> Callable[[], Parcel]:
        def make() -> Parcel:
            commands = self.victims()
            return commands, sealed_by(self.attacker.owner, commands, draw().of), 0

        return make

    def named(self, by: int) -> Callable[[], Parcel]:
        def make() -> Parcel:
            commands = self.victims()
            return commands, sealed_by(self.attacker.owner, commands), by

        return make

    def unsigned(self) -> Parcel:
        commands = self.victims()
        return commands, seal(commands), 0

    def proof_of_another(self, change: Callable[[str], str]) -> Callable[[], Parcel]:
        """An honest parcel's proof before a content of the attacker's."""

        def make() -> Parcel:
            commands = self.victims()
            _, honest = self.random.choice(self.attacker.loot.parcels)
            proof = honest[8 : 8 + int.from_bytes(honest[4:8], "big")].decode()
            return commands, enclose(seal(commands), change(proof)), 0

        return make

    def records_proof(self) -> Parcel:
        commands = self.victims()
        _, text = self.random.choice(self.attacker.loot.records)
        return commands, enclose(seal(commands), text.decode().split("\n")[1]), 0

    def message_of_another(self) -> Parcel:
        commands = self.victims()
        return commands, enclose(seal(commands), self.random.choice(self.attacker.loot.tokens)), 0


def _forgeries(attacker: Attacker) -> dict[str, Callable[[], Forgery]]:
    longest = longest_life(attacker.site.settings.outcome_retention)
    found = attacker.forgeries.by_signature()
    return found | attacker.forgeries.by_time(int(longest.total_seconds()))


def _forget(site: Site, commands: Sequence[PutObject]) -> None:
    """Remove all that the ledger knows of commands that have ended."""
    for command in commands:
        shard = site.ledger.shards.of(command.ref)
        tenant_env = f"{command.tenant_id}/{command.env}"
        site.state.call("DEL", f"{shard}:op:{command.ref}")
        site.state.call("ZREM", f"{shard}:dead", command.ref)
        site.state.call("HDEL", f"{shard}:ids:{tenant_env}", command.op_id)
