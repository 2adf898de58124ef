"""Signed commands: no interleaving of the model runs what nobody signed, and without any one of its
rules something does, or something that was signed does not."""

from __future__ import annotations

import pytest

from tests.model.proof.model import Rules, Scene, explore
from tests.size import LONG

SCENES = {
    "no attacker": Scene(deaths=1, revocations=1, repeats=1),
    "parcels": Scene(deaths=1, parcels=True, repeats=1),
    "the broker": Scene(broker_attacks=1, revocations=1, repeats=1),
    "the ledger": Scene(ledger_attacks=1),
}
if LONG:
    SCENES |= {
        "the ledger, and a worker that dies": Scene(ledger_attacks=1, deaths=1),
        "the ledger, and a revocation": Scene(ledger_attacks=1, revocations=1, repeats=1),
    }
ALONE = Scene(deaths=1, repeats=1)
LEDGER = Scene(ledger_attacks=1)
MUTANTS = {
    "messages are recorded first": (
        Rules(entrance_verifies=False),
        Scene(broker_attacks=1),
        "was recorded",
    ),
    "records are not verified": (Rules(claim_verifies=False), LEDGER, "nobody signed runs"),
    "any command of the author": (Rules(text_is_signed=False), LEDGER, "nobody signed runs"),
    "any name": (Rules(name_is_signed=False), LEDGER, "under another name"),
    "any author": (Rules(grants_are_checked=False), LEDGER, "was not granted"),
    "grants of the submit": (Rules(grants_of_now=False), Scene(revocations=1), "was revoked"),
    "the signature's end is not looked at": (Rules(end_at_claim=False), Scene(), "has ended"),
    "a proof is brought back under a new number": (
        Rules(number_in_window=False),
        LEDGER,
        "undid a newer one",
    ),
    "a refusal keeps its op_id": (Rules(refusal_frees=False), LEDGER, "took an op_id"),
    "what may have run gives its op_id away": (
        Rules(ended_takeover_keeps=False),
        ALONE,
        "gave its op_id away",
    ),
    "a parcel's proof is lost with it": (
        Rules(unpack_keeps_proof=False),
        ALONE._replace(parcels=True),
        "refused as if it was not",
    ),
    "a repeated submit is not signed anew": (
        Rules(resigned_at_submit=False),
        Scene(revocations=0, repeats=1),
        "refused as if it was not",
    ),
}


@pytest.mark.parametrize("name", SCENES)
def test_nothing_runs_that_was_not_signed_and_all_does_that_was(name: str) -> None:
    wrong, states = explore(SCENES[name], Rules())
    assert wrong == ""
    assert states > 50, "the scene is too small to mean anything"


@pytest.mark.parametrize("name", MUTANTS)
def test_each_rule_is_needed(name: str) -> None:
    rules, scene, expected = MUTANTS[name]
    wrong, _ = explore(scene, rules)
    assert expected in wrong.split(" <- ")[0]
