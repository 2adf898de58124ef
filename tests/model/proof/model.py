"""Signed commands as a small model that is explored exhaustively: who may have what run.

One tenant's producer signs two commands on one key, the second after the first one's time to be
accepted; a neighbour has a key that is granted for another tenant. An attacker reaches the broker,
or writes the ledger as he likes: he forges, copies, moves, keeps proofs and brings them back. A
worker may die between an effect and its record. Each step is one script, one effect or one fault.

A proof is who signed, when, and the set of commands that were signed together: that a path leads
from a command to a root only if it was among those is what `tests/unit/test_manifest.py` shows.

Fields whose names begin with `real_` are what an observer knows and the system does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.model import explore as exploration

OWNER, NEIGHBOUR = "owner", "neighbour"
GRANTED = {OWNER: "acme", NEIGHBOUR: "evil"}
LIFETIME = 2
"""Ticks for which a signature holds."""
WINDOW = 1
"""Ticks after its signature in which a command's number may lie."""
FOREVER = 9


class Text(NamedTuple):
    """What a command says of itself."""

    tenant: str
    op_id: str
    content: str

    @property
    def ref(self) -> str:
        return f"{self.tenant}/{self.op_id}"


class Proof(NamedTuple):
    """A manifest."""

    signer: str
    texts: frozenset[Text]
    iat: int


ONE, TWO = Text("acme", "1", "one"), Text("acme", "2", "two")
FORGED = Text("acme", "1", "forged")
THEIRS = Text("acme", "1", "theirs")
"""The neighbour signs it too, for a tenant that is not theirs."""
SIGNED_BY_NEIGHBOUR = Proof(NEIGHBOUR, frozenset({THEIRS}), 0)


@dataclass(frozen=True)
class Rules:
    """What the system does; each of the defaults taken away is a mutant that must be caught."""

    entrance_verifies: bool = True
    """A whole command from the broker is recorded only if it is proven."""
    claim_verifies: bool = True
    text_is_signed: bool = True
    """It is this command that was signed, and not another one of the same author."""
    name_is_signed: bool = True
    """A record is run only under the name that its command has."""
    grants_are_checked: bool = True
    grants_of_now: bool = True
    """A revocation counts from the next claim on."""
    end_at_claim: bool = True
    number_in_window: bool = True
    """A command's number lies in the time in which it could be accepted."""
    refusal_frees: bool = True
    """What is refused keeps its op_id from nobody."""
    ended_takeover_keeps: bool = True
    """But what may have run keeps its own."""
    unpack_keeps_proof: bool = True
    resigned_at_submit: bool = True
    """A repeated submit signs anew."""


class Scene(NamedTuple):
    """What may happen, how often."""

    broker_attacks: int = 0
    ledger_attacks: int = 0
    deaths: int = 0
    revocations: int = 0
    repeats: int = 0
    """Times that the producer submits the first command again, after it was refused."""
    parcels: bool = False
    """Commands come in parcels, which a dead worker leaves as records."""


class Entry(NamedTuple):
    """A record, or a command in a parcel."""

    text: Text
    proof: Proof | None
    seq: int
    state: str = "queued"
    attempt: int = 0
    in_parcel: bool = False
    takes_op_id: bool = True
    real_by_hand: bool = False
    real_ran: bool = False


class World(NamedTuple):
    scene: Scene
    time: int = 0
    ledger: tuple[tuple[str, Entry], ...] = ()
    submitted: frozenset[Text] = frozenset()
    hand: str = ""
    """The name of the record that the worker claimed and has verified."""
    revoked: bool = False
    known: frozenset[Proof] = frozenset({SIGNED_BY_NEIGHBOUR})
    """Proofs that the attacker has."""
    value: tuple[int, int, str] = (0, 0, "")
    """The backend's: number, when it was signed, content."""
    wrong: str = ""

    def entry(self, ref: str) -> Entry | None:
        return dict(self.ledger).get(ref)

    def having(self, ref: str, entry: Entry | None) -> World:
        entries = {**dict(self.ledger)}
        entries.pop(ref, None)
        if entry is not None:
            entries[ref] = entry
        return self._replace(ledger=tuple(sorted(entries.items())))


def granted(world: World, proof: Proof, tenant: str) -> bool:
    return GRANTED[proof.signer] == tenant and not (world.revoked and proof.signer == OWNER)


def refusal(world: World, rules: Rules, ref: str, entry: Entry) -> str:
    """Why a worker refuses it at the claim, or ''."""
    proof = entry.proof
    if not rules.claim_verifies:
        return ""
    if proof is None:
        return "missing"
    if rules.text_is_signed and entry.text not in proof.texts:
        return "invalid"
    if rules.name_is_signed and entry.text.ref != ref:
        return "invalid"
    if rules.number_in_window and not proof.iat <= entry.seq <= proof.iat + WINDOW:
        return "invalid"
    seen = world if rules.grants_of_now else world._replace(revoked=False)
    if rules.grants_are_checked and not granted(seen, proof, entry.text.tenant):
        return "not granted"
    if rules.end_at_claim and world.time > proof.iat + LIFETIME:
        return "ended"
    return ""


def steps(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    scene = world.scene
    if world.time <= LIFETIME:
        yield "time passes", world._replace(time=world.time + 1)
    if scene.revocations:
        yield (
            "the owner is revoked",
            world._replace(revoked=True, scene=scene._replace(revocations=0)),
        )
    yield from _submits(world, rules)
    yield from _broker(world, rules)
    yield from _by_hand(world)
    yield from _worker(world, rules)


def _submits(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    for text, earliest in ((ONE, 0), (TWO, WINDOW + 1)):
        if text not in world.submitted and world.time >= earliest:
            yield f"{text.content} is submitted", _accepted(world, text, world.time)
    known = world.entry(ONE.ref)
    if world.scene.repeats and known and known.state == "dead" and ONE in world.submitted:
        again = world._replace(scene=world.scene._replace(repeats=world.scene.repeats - 1))
        iat = world.time if rules.resigned_at_submit else 0
        yield "one is submitted again", _accepted(again, ONE, iat)


def _accepted(world: World, text: Text, iat: int) -> World:
    proof = Proof(OWNER, frozenset({text}), iat)
    after = world._replace(submitted=world.submitted | {text}, known=world.known | {proof})
    known = world.entry(text.ref)
    if known is None or not known.takes_op_id:
        entry = Entry(text, proof, world.time, in_parcel=world.scene.parcels)
        return after.having(text.ref, entry)
    if known.state == "dead" and known.text != text:
        return after._replace(wrong="what nobody signed took an op_id")
    return after


def _broker(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    if not world.scene.broker_attacks:
        return
    left = world._replace(scene=world.scene._replace(broker_attacks=world.scene.broker_attacks - 1))
    for text in (FORGED, THEIRS, ONE):
        for proof in (None, *sorted(world.known, key=repr)):
            entry = Entry(text, proof, world.time, real_by_hand=True)
            if rules.entrance_verifies and refusal(world, Rules(), text.ref, entry):
                after = left
            elif (known := world.entry(text.ref)) is None or not known.takes_op_id:
                after = left.having(text.ref, entry)
                if proof is None or text not in proof.texts or proof.signer != OWNER:
                    after = after._replace(wrong="a message that nobody signed was recorded")
            else:
                after = left
            yield f"a message brings {text.content} with {proof}", after


def _by_hand(world: World) -> Iterator[tuple[str, World]]:
    if not world.scene.ledger_attacks:
        return
    left = world._replace(scene=world.scene._replace(ledger_attacks=world.scene.ledger_attacks - 1))
    for ref in (ONE.ref, "acme/3"):
        for text in (FORGED, THEIRS, ONE):
            for proof in (None, *sorted(world.known, key=repr)):
                for seq in sorted({0, world.time, FOREVER}):
                    for attempt in (0, 1)[: world.scene.deaths + 1]:
                        entry = Entry(text, proof, seq, attempt=attempt, real_by_hand=True)
                        yield (
                            f"{text.content} is written as {ref}, number {seq}, with {proof}",
                            left.having(ref, entry),
                        )
    yield "what is known of one is deleted", left.having(ONE.ref, None)


def _worker(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    if world.hand:
        entry = world.entry(world.hand)
        if entry is None or entry.state != "running":
            yield "its record is gone", world._replace(hand="")
        elif not entry.real_ran:
            yield f"{entry.text.content} takes effect", _effect(world, entry)
        else:
            done = entry._replace(state="done")
            yield f"{world.hand} is done", world.having(world.hand, done)._replace(hand="")
        if world.scene.deaths:
            yield "the worker dies", _death(world, rules)
        return
    for ref, entry in world.ledger:
        if entry.state == "queued":
            yield f"{ref} is claimed", _claimed(world, rules, ref, entry)


def _claimed(world: World, rules: Rules, ref: str, entry: Entry) -> World:
    why = refusal(world, rules, ref, entry)
    attempt = entry.attempt + 1
    if not why:
        wrong = _what_is_wrong(world, ref, entry)
        running = entry._replace(state="running", attempt=attempt)
        return world.having(ref, running)._replace(hand=ref, wrong=wrong)
    keeps = not rules.refusal_frees
    if why == "ended" and attempt > 1:
        keeps = rules.ended_takeover_keeps
    if entry.real_ran and not keeps and why == "ended":
        return world._replace(wrong="what may have run gave its op_id away")
    if not entry.real_by_hand and why in ("missing", "invalid"):
        return world._replace(wrong="what was signed is refused as if it was not")
    return world.having(ref, entry._replace(state="dead", attempt=attempt, takes_op_id=keeps))


def _what_is_wrong(world: World, ref: str, entry: Entry) -> str:
    """Of what a worker is about to run."""
    text, proof = entry.text, entry.proof
    if proof is None or text not in proof.texts:
        return "what nobody signed runs"
    if GRANTED[proof.signer] != text.tenant:
        return "what its author was not granted runs"
    if text.ref != ref:
        return "it runs under another name"
    if world.revoked:
        return "it runs after its author was revoked"
    if world.time > proof.iat + LIFETIME:
        return "it runs after its signature has ended"
    return ""


def _effect(world: World, entry: Entry) -> World:
    after = world.having(world.hand, entry._replace(real_ran=True))
    number, signed, _ = world.value
    if entry.seq < number or entry.proof is None:
        return after  # superseded
    if entry.proof.iat + WINDOW < signed:
        return after._replace(wrong="an older command undid a newer one")
    return after._replace(value=(entry.seq, entry.proof.iat, entry.text.content))


def _death(world: World, rules: Rules) -> World:
    entry = world.entry(world.hand)
    after = world._replace(hand="", scene=world.scene._replace(deaths=world.scene.deaths - 1))
    if entry is None:
        return after
    left = entry._replace(state="queued", in_parcel=False)
    if entry.in_parcel and not rules.unpack_keeps_proof:
        left = left._replace(proof=None)
    return after.having(world.hand, left)


def explore(scene: Scene, rules: Rules) -> tuple[str, int]:
    """The first broken promise with its path, or '', and how many states there are."""
    return exploration.explore(World(scene), lambda world: steps(world, rules))
