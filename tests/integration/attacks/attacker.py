"""The attacker: what he knows and has, and what he would like to have run."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.proven import with_proof
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.proof.keys import PrivateKey, encode
from signalbox.commands.proof.principal import Principal, PrincipalKey, Role
from signalbox.commands.proof.trust import Trust
from signalbox.commands.settings import Settings
from signalbox.commands.state import State
from signalbox.producers.client.client import Client
from signalbox.routing.registry.registry import Registry
from tests.integration.attacks.forgery import Forgeries, Keys
from tests.integration.attacks.ledger_writes import (
    proof_by,
    sealed_by,
    write_parcel,
    write_record,
)
from tests.integration.attacks.message import message
from tests.integration.signed_deployment import NEIGHBOUR, OWNER, principal, put, token
from tests.integration.signed_registry import change

Draw = Callable[[], None]
"""Tries an attack once."""


class Site(Protocol):
    """A deployment in which every command must be signed, in this process or in its own."""

    keys: dict[str, PrivateKey]
    """Of the producer of each tenant."""
    state: State
    settings: Settings
    evil: Path
    """A folder to which no route leads."""

    @property
    def operator(self) -> PrivateKey:
        """Of the operator of the owner's tenant."""
        ...

    @property
    def trust(self) -> Trust: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def registry(self) -> Registry:
        """As an administrator uses it."""
        ...

    def client(self, key: PrivateKey | None) -> Client: ...

    def receive(self, item: bytes) -> None:
        """A message as a broker has it."""
        ...

    def run_all(self) -> None:
        """Have workers run what is ready or due, if they do not by themselves."""
        ...

    def settled(self, *commands: PutObject) -> list[Outcome | None]:
        """The outcomes of commands of honest producers, once there are any."""
        ...


@dataclass
class Loot:
    """What the attacker has copied from honest producers."""

    tokens: list[str] = field(default_factory=list)
    """Signed commands that have run."""
    records: list[tuple[PutObject, bytes]] = field(default_factory=list)
    """Commands that have run, with the record's `cmd`."""
    parcels: list[tuple[list[PutObject], bytes]] = field(default_factory=list)
    """Commands that have run together, with the parcel's content."""


class Attacker:
    """Each attack names an op_id of the owner's that nobody has used."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.random = random.Random(seed)
        self.owner, self.own = site.keys[OWNER], site.keys[NEIGHBOUR]
        new = PrivateKey.new
        self.keys = Keys(self.owner, self.own, new(), new(), new(), new(), new())
        self.forgeries = Forgeries(self.keys, self.random)
        self.operators = Forgeries(replace(self.keys, owner=site.operator), self.random)
        """The same of changes, whose owner is the operator of the owner's tenant."""
        self.names: dict[str, str] = {
            key.kid: principal(tenant, key).name for tenant, key in site.keys.items()
        }
        """Of principals, by the id of their key."""
        self.loot = Loot()
        self.tried: Counter[tuple[str, str]] = Counter()
        """How often each kind was tried at each entrance."""
        self.op_ids: list[str] = []
        self.first_numbers: dict[str, int] = {}
        """Under which number records of the loot have run."""
        self._admit()

    def _admit(self) -> None:
        """Principals of the owner's tenant whose keys the attacker has."""
        now, day = datetime.now(UTC), timedelta(days=1)
        keys = self.keys
        early = PrincipalKey(x=encode(keys.early.public.raw), not_before=now + day)
        others: dict[str, tuple[PrivateKey, dict[str, Any]]] = {
            "reader": (keys.reader, {"roles": (Role.READER,)}),
            "revoked": (keys.revoked, {"revoked": now - day}),
            "expired": (keys.expired, {"expires": now - day}),
            "early": (keys.early, {"keys": (early,)}),
        }
        for name, (key, how) in others.items():
            its: Principal = principal(OWNER, key).model_copy(update={"name": name} | how)
            self.site.registry.principals.add(its, change())
            self.names[key.kid] = name

    def collect(self) -> None:
        """Honest producers have commands run; the attacker watches."""
        site, owner = self.site, self.owner
        alone = [put(f"honest-message-{number}") for number in range(5)]
        for command in alone:
            signed = token(owner, command)
            site.receive(message([signed], single=False))
            self.loot.tokens.append(signed)
        together = [put(f"honest-{number}") for number in range(5)]
        large = put("honest-large", b"y" * 70_000)
        content = sealed_by(owner, together)
        write_parcel(site, together, content)
        self.loot.parcels.append((together, content))
        proof = proof_by(owner, large)
        write_record(site, large, proof)
        self.loot.records.append((large, with_proof(large.model_dump_json(), proof).encode()))
        shard = site.ledger.shards.of(large.ref)
        number = int(site.state.call("HGET", f"{shard}:op:{large.ref}", "seq"))
        self.first_numbers[large.op_id] = number
        ended = site.settled(*alone, *together, large)
        assert [each is not None and each.error is None for each in ended] == [True] * 11

    def victim(self, **more: Any) -> PutObject:
        """A command of the owner's that the attacker would like to have run."""
        op_id = f"victim-{len(self.op_ids)}"
        self.op_ids.append(op_id)
        return put(f"attacked/{len(self.op_ids)}", b"attack", op_id=op_id, **more)

    def manifest_token(self) -> str:
        """One of the owner's that the attacker has copied."""
        return self.random.choice(self.loot.records)[1].decode().split("\n")[1].split(" ")[0]

    def attack(self, entrance: str, kind: str, draw: Draw) -> None:
        """Try it once."""
        self.tried[entrance, kind] += 1
        draw()
        self.site.run_all()
