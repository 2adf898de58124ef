"""Attacks on signed commands, drawn at random: what someone may send, or write into the ledger.

The attacker knows the source, has a key of his own that is granted for another tenant, an old key
that was revoked, and copies of all that honest producers have sent and that the ledger has held.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from signalbox.commands.envelope import read_call
from signalbox.commands.ledger.entry import Intent
from signalbox.commands.ledger.parcel import seal
from signalbox.commands.ledger.proven import enclose
from signalbox.commands.object_store import PutObject
from signalbox.commands.proof.keys import PrivateKey, encode
from signalbox.commands.proof.manifest import MANIFEST, Group, Manifest, Times
from signalbox.commands.proof.signed_command import COMMAND
from signalbox.commands.wire import read_message
from signalbox.producers.broker.message_check import open_item
from tests.integration.proof_lab import HERE, NEIGHBOUR, OWNER, ProofLab, principal, put, token

DAY = 86_400


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
    """Draws attacks; each names an op_id of the owner's that nobody has used."""

    def __init__(self, lab: ProofLab, http: httpx.Client, seed: int) -> None:
        self.lab = lab
        self.http = http
        """A gateway without a key."""
        self.random = random.Random(seed)
        self.own, self.owner = lab.keys[NEIGHBOUR], lab.keys[OWNER]
        self.stranger, self.revoked, self.expired = (PrivateKey.new() for _ in range(3))
        past = datetime.now(UTC) - timedelta(days=1)
        for key, how in ((self.revoked, {"revoked": past}), (self.expired, {"expires": past})):
            lab.principals[key.kid] = principal(OWNER, key, **how)
        self.loot = Loot()
        self.tried: Counter[str] = Counter()
        self.op_ids: list[str] = []
        self.entrances = {
            "broker": (self.by_message, self.messages()),
            "HTTP": (self.by_http, self.messages() | {"object": self.victim}),
            "record": (self.by_record, self.proofs()),
            "parcel": (self.by_parcel, self.frames()),
        }

    def collect(self) -> None:
        """Honest producers have commands run; the attacker watches."""
        lab = self.lab
        for number in range(5):
            signed = token(self.owner, put(f"honest-message-{number}"))
            lab.carry(signed)
            self.loot.tokens.append(signed)
        together = [put(f"honest-{number}") for number in range(5)]
        large = put("honest-large", b"y" * 70_000)
        lab.client(self.owner).submit_many([*together, large])
        [key] = lab.state.scan("*:c:*")
        self.loot.parcels.append((together, lab.state.call("GET", key.decode())))
        record = f"{lab.ledger.shards.of(large.ref)}:op:{large.ref}"
        self.loot.records.append((large, lab.state.call("HGET", record, "cmd")))
        lab.run_all()
        assert [lab.code(each) for each in (*together, large)] == ["done"] * 6

    def kinds(self) -> list[tuple[str, str]]:
        """Entrances, and what is tried there."""
        return [(entrance, kind) for entrance, (_, its) in self.entrances.items() for kind in its]

    def attack(self, entrance: str, kind: str) -> None:
        """Try it once."""
        send, kinds = self.entrances[entrance]
        self.tried[f"{entrance}: {kind}"] += 1
        send(kinds[kind])

    def victim(self, **more: Any) -> PutObject:
        """A command of the owner's that the attacker would like to have run."""
        op_id = f"victim-{len(self.op_ids)}"
        self.op_ids.append(op_id)
        return put(f"attacked/{self.random.randrange(50)}", b"attack", op_id=op_id, **more)

    # What stands in a message in place of a command.

    def messages(self) -> dict[str, Callable[[], Any]]:
        now = int(time.time())

        def by(key: PrivateKey, **claims: Any) -> Callable[[], Any]:
            return lambda: token(key, self.victim(), **claims)

        return {
            "unsigned": lambda: self.victim().model_dump(mode="json"),
            "key that nobody knows": by(self.stranger),
            "for another tenant": by(self.own),
            "revoked key": by(self.revoked),
            "key that has expired": by(self.expired),
            "expired": by(self.owner, iat=now - 2 * DAY, exp=now - DAY),
            "not valid yet": by(self.owner, iat=now + DAY, exp=now + DAY + 60),
            "valid for ever": by(self.owner, exp=now + 10 * 365 * DAY),
            "without times": by(self.owner, iat=None, exp=None),
            "other deployment": by(self.owner, aud="prod-us"),
            "list of deployments": by(self.owner, aud=[HERE, "prod-us"]),
            "of another type": by(self.owner, typ=MANIFEST),
            "other op_id beside it": by(self.owner, op_id="another"),
            "without op_id": by(self.owner, op_id=None),
            "replayed": lambda: self.random.choice(self.loot.tokens),
            "manifest as a command": self.manifest_token,
            "alg none": lambda: self.with_header({"alg": "none"}, sign=lambda _: b""),
            "alg none, signed": lambda: self.with_header({"alg": "none"}),
            "HMAC by the public key": self.confused,
            "own key in the header": lambda: self.with_header(
                {"alg": "EdDSA", "jwk": self.stranger.public.jwk()}, sign=self.stranger.sign
            ),
            "address of a key": lambda: self.with_header(
                {"alg": "EdDSA", "jku": "http://127.0.0.1/keys"}, sign=self.stranger.sign
            ),
            "owner's kid, own signature": lambda: self.with_header(
                {"alg": "EdDSA"}, sign=self.own.sign
            ),
            "content changed": self.changed,
            "cut": lambda: self.cut(token(self.owner, self.victim())),
            "bit flipped": lambda: self.flipped(token(self.owner, self.victim())),
            "within a batch": lambda: [
                token(self.own, self.victim()),
                self.victim().model_dump(mode="json"),
            ],
        }

    def with_header(
        self, header: dict[str, Any], sign: Callable[[bytes], bytes] | None = None
    ) -> str:
        """A token for the owner with this header, signed like that (else with a copied one)."""
        parts = token(self.owner, self.victim()).split(".")
        whole = {"typ": COMMAND, "kid": self.owner.kid, **header}
        head = encode(json.dumps(whole).encode())
        other = token(self.own, put("x")).split(".")
        signature = encode(sign(f"{head}.{parts[1]}".encode())) if sign else other[2]
        payload = parts[1]
        return f"{head}.{payload}.{signature}"

    def confused(self) -> str:
        def sign(message: bytes) -> bytes:
            return hmac.new(self.owner.public.raw, message, hashlib.sha256).digest()

        return self.with_header({"alg": "HS256"}, sign=sign)

    def manifest_token(self) -> str:
        return self.random.choice(self.loot.records)[1].decode().split("\n")[1].split(" ")[0]

    def changed(self) -> str:
        """The payload of one command, with the signature over another."""
        one, two = (token(self.owner, self.victim()).split(".") for _ in range(2))
        return ".".join([one[0], two[1], one[2]])

    def cut(self, text: str) -> str:
        return text[: self.random.randrange(len(text))]

    def flipped(self, text: str) -> str:
        at = self.random.randrange(len(text))
        other = self.random.choice([c for c in "abcXYZ019-_." if c != text[at]])
        return text[:at] + other + text[at + 1 :]

    def by_message(self, draw: Callable[[], Any]) -> None:
        """Put it on a queue, under any task name and id, and have a worker take it from there."""
        found = draw()
        documents = found if isinstance(found, list) else [found]
        single = len(documents) == 1 and self.random.random() < 0.5
        task = "object_store.put" if single else "commands.batch"
        keywords = {"command": documents[0]} if single else {"commands": documents}
        body = base64.b64encode(json.dumps([[], keywords, {}]).encode()).decode()
        item = {
            "body": body,
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"lang": "py", "task": task, "id": str(uuid.uuid4())},
            "properties": {"body_encoding": "base64"},
        }
        limit = self.lab.settings.message_limit_bytes
        call = read_call(open_item(json.dumps(item).encode(), limit)[1], limit)
        self.lab.runtime.executor.execute(
            read_message(call.task, call.id, call.keywords, 1, call.arguments)
        )

    def by_http(self, draw: Callable[[], Any]) -> None:
        """Send it to a gateway, and have workers run what came of it."""
        found = draw()
        if isinstance(found, PutObject):
            path = f"/v1/objects/{found.tenant_id}/{found.env}/{found.key}"
            headers = {"Idempotency-Key": found.op_id}
            response = self.http.put(path, content=b"attack", headers=headers)
        else:
            documents = found if isinstance(found, list) else [found]
            response = self.http.post("/v1/commands", json={"commands": documents})
        assert response.status_code < 500, response.text
        self.lab.run_all()

    # What stands behind a command in the ledger, whoever wrote it there.

    def manifest(self, key: PrivateKey, groups: list[Group], **how: int) -> Manifest:
        now = int(time.time()) + how.get("shift", 0)
        return Manifest.sign(groups, key, HERE, Times(now, now + 600, now + 300))

    def proofs(self) -> dict[str, Callable[[], tuple[PutObject, str, dict[str, Any]]]]:
        """By kind: a command, the proof in its record, and fields of it."""

        def by(
            key: PrivateKey, fields: dict[str, Any] | None = None, **how: int
        ) -> Callable[[], tuple[PutObject, str, dict[str, Any]]]:
            def draw() -> tuple[PutObject, str, dict[str, Any]]:
                command = self.victim()
                groups = [Group([command.model_dump_json().encode()])]
                proof = self.manifest(key, groups, **how).command(0, 0).to_text()
                return command, proof, fields or {}

            return draw

        def honest(change: Callable[[str], str]) -> Callable[[], tuple[PutObject, str, Any]]:
            """The proof of another command, changed."""

            def draw() -> tuple[PutObject, str, dict[str, Any]]:
                _, text = self.random.choice(self.loot.records)
                return self.victim(), change(text.decode().split("\n")[1]), {}

            return draw

        future = int((time.time() + 30 * DAY) * 1e6)
        return {
            "unsigned": lambda: (self.victim(), "", {}),
            "unsigned, as a takeover": lambda: (self.victim(), "", {"att": 3}),
            "unsigned, attempts used up": lambda: (self.victim(), "", {"att": 99}),
            "unsigned, not readable": lambda: (self.victim(), "", {"cmd": "{}"}),
            "key that nobody knows": by(self.stranger),
            "for another tenant": by(self.own),
            "revoked key": by(self.revoked),
            "expired": by(self.owner, shift=-DAY),
            "not valid yet": by(self.owner, shift=DAY),
            "number of the future": by(self.owner, {"seq": future}),
            "number of the past": by(self.owner, {"seq": 1}),
            "proof of another command": honest(lambda proof: proof),
            "proof, cut": honest(self.cut),
            "proof, a bit flipped": honest(self.flipped),
            "path without its token": honest(lambda proof: proof.partition(" ")[2]),
            "parcel's proof": self.parcels_proof,
            "path of a neighbour": self.path_of_neighbour,
            "signed message of another": lambda: (
                self.victim(),
                self.random.choice(self.loot.tokens),
                {},
            ),
            "copied under another name": self.copied,
        }

    def parcels_proof(self) -> tuple[PutObject, str, dict[str, Any]]:
        _, content = self.random.choice(self.loot.parcels)
        size = int.from_bytes(content[4:8], "big")
        return self.victim(), content[8 : 8 + size].decode(), {}

    def path_of_neighbour(self) -> tuple[PutObject, str, dict[str, Any]]:
        """A path of the attacker's own tree, under the owner's token."""
        command = self.victim()
        groups = [Group([command.model_dump_json().encode()])]
        mine = self.manifest(self.own, groups).command(0, 0)
        return command, replace(mine, token=self.manifest_token()).to_text(), {}

    def copied(self) -> tuple[PutObject, str, dict[str, Any]]:
        command, text = self.random.choice(self.loot.records)
        return self.victim(), "", {"cmd": text, "op": command.op}

    def by_record(self, draw: Callable[[], tuple[PutObject, str, dict[str, Any]]]) -> None:
        """Write a record by hand, as submit.lua writes one, and have a worker come for it."""
        command, proof, more = draw()
        self.lab.ledger.submit([Intent(command, "object_store.0", proof=proof)])
        shard = self.lab.ledger.shards.of(command.ref)
        if more:
            flat = [part for pair in more.items() for part in pair]
            self.lab.state.call("HSET", f"{shard}:op:{command.ref}", *flat)
        self.lab.run_all()

    # Parcels.

    def frames(self) -> dict[str, Callable[[], tuple[list[PutObject], bytes, int]]]:
        """By kind: commands, a parcel's content, and by how much its name is of another time."""

        def by(
            key: PrivateKey, name: int = 0, **how: int
        ) -> Callable[[], tuple[list[PutObject], bytes, int]]:
            def draw() -> tuple[list[PutObject], bytes, int]:
                commands = [self.victim() for _ in range(3)]
                content = seal(commands)
                groups = [Group([c.model_dump_json().encode() for c in commands], content)]
                proof = self.manifest(key, groups, **how).parcel(0).to_text()
                return commands, enclose(content, proof), name

            return draw

        def looted(change: Callable[[bytes, bytes], bytes]) -> Callable[[], Any]:
            """An honest parcel's proof before a content of the attacker's."""

            def draw() -> tuple[list[PutObject], bytes, int]:
                commands = [self.victim() for _ in range(3)]
                _, honest = self.random.choice(self.loot.parcels)
                size = 8 + int.from_bytes(honest[4:8], "big")
                return commands, change(honest[:size], seal(commands)), 0

            return draw

        return {
            "unsigned": lambda: self.unsigned(),
            "key that nobody knows": by(self.stranger),
            "for another tenant": by(self.own),
            "revoked key": by(self.revoked),
            "key that has expired": by(self.expired),
            "expired": by(self.owner, shift=-DAY),
            "not valid yet": by(self.owner, shift=DAY),
            "number of the future": by(self.owner, name=30 * DAY * 10**6),
            "number of the past": by(self.owner, name=-30 * DAY * 10**6),
            "proof of another parcel": looted(lambda proof, content: proof + content),
            "proof, cut": looted(
                lambda proof, content: enclose(content, self.cut(proof[8:].decode()))
            ),
            "proof, a bit flipped": looted(
                lambda proof, content: enclose(content, self.flipped(proof[8:].decode()))
            ),
            "replayed": lambda: (*self.random.choice(self.loot.parcels), 0),
            "record's proof": lambda: self.records_proof(),
        }

    def unsigned(self) -> tuple[list[PutObject], bytes, int]:
        commands = [self.victim() for _ in range(3)]
        return commands, seal(commands), 0

    def records_proof(self) -> tuple[list[PutObject], bytes, int]:
        commands = [self.victim()]
        _, text = self.random.choice(self.loot.records)
        return commands, enclose(seal(commands), text.decode().split("\n")[1]), 0

    def by_parcel(self, draw: Callable[[], tuple[list[PutObject], bytes, int]]) -> None:
        """Write a parcel by hand, as submit_parcels.lua writes one."""
        commands, content, name_by = draw()
        lab, size = self.lab, len(commands)
        shard = lab.ledger.shards.shard(OWNER, "prod")
        name = int(time.time() * 1e6) + name_by
        keys = {c.order_key for c in commands if c.order_key}
        fields = ["q", 0, "-", size, size, 60_000, 0, int(time.time() * 1000), "object_store.0"]
        fields += [f"{OWNER}/prod/object_store", "-", "-", 0, ""]
        calls: list[tuple[Any, ...]] = [
            ("SET", f"{shard}:c:{name}", content),
            ("HSET", f"{shard}:par", name, " ".join(map(str, fields))),
            ("RPUSH", f"{shard}:rdy:object_store.0", name),
            ("HINCRBY", f"{shard}:open", f"{OWNER}/prod", size),
            ("HINCRBY", f"{shard}:open", f"{OWNER}/prod/object_store", size),
        ]
        calls += [("HSET", f"{shard}:keys:{OWNER}/prod", key, name) for key in keys]
        for position, command in enumerate(commands):
            digest = bytes.fromhex(command.fingerprint())
            entry = b"%d.%d:" % (name, position) + digest
            calls.append(("HSET", f"{shard}:ids:{OWNER}/prod", command.op_id, entry))
        lab.state.run(calls)
        lab.run_all()
