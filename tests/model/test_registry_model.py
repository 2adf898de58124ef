"""The signed registry: what an attacker writes redirects nobody and is forgotten once it is mended,
and without any one of the rules that is not so."""

from __future__ import annotations

import pytest

from tests.model.explore import explore
from tests.model.registry_model import Rules, Scene, first, steps

THIEF = frozenset({"op_a"})
PLAIN = Scene()
DELETED = Scene(sets=2, deletes=1)
REVOKED = Scene(sets=1, revokes=1, stolen=THIEF)
REBASED = Scene(sets=2, rebases=1)
FLOOR = Scene(sets=1, revokes=1, restarts=1, stolen=THIEF, floors=True)
SCENES = {
    "routes are set": PLAIN,
    "a route is deleted and set again": DELETED,
    "a stolen key is revoked": REVOKED,
    "a rebase": REBASED,
    "a worker restarts": Scene(restarts=1),
    "a stolen key is revoked, a worker restarts": FLOOR,
}
MUTANTS = {
    "no signature is checked": (Rules(signature=False), PLAIN, "nobody signed"),
    "the subject is not compared": (
        Rules(subject=False, grants=False),
        PLAIN,
        "nobody signed",
    ),
    "the content is not compared": (Rules(content=False), PLAIN, "nobody signed"),
    "the revision is not compared": (Rules(revision=False), PLAIN, "older route"),
    "grants are not looked at": (Rules(grants=False), PLAIN, "nobody signed"),
    "a statement brings its key": (Rules(own_keys=False), PLAIN, "nobody signed"),
    "operators sign the roster": (Rules(roster_by_admin=False), PLAIN, "nobody signed"),
    "routes are not remembered": (Rules(remembers_route=False), PLAIN, "older route"),
    "the roster is not remembered": (Rules(remembers_roster=False), REVOKED, "revoked key"),
    "what is not proven is remembered": (Rules(remembers_proven=False), PLAIN, "route is refused"),
    "an epoch needs no proof": (Rules(epoch_proven=False), PLAIN, "epoch is refused"),
    "a deletion needs no proof": (Rules(gone_proven=False), DELETED, "a deletion"),
    "a key counts as when it signed": (Rules(roster_of_now=False), REVOKED, "revoked key"),
    "the trust file has no floor": (Rules(floor=False), FLOOR, "below the floor"),
}


@pytest.mark.parametrize("name", SCENES)
def test_an_attacker_who_writes_everything_redirects_nobody(name: str) -> None:
    wrong, states = explore(first(SCENES[name]), lambda world: steps(world, Rules()))
    assert wrong == ""
    assert states > 1000, "the scene is too small to mean anything"


@pytest.mark.parametrize("name", MUTANTS)
def test_each_rule_is_needed(name: str) -> None:
    rules, scene, expected = MUTANTS[name]
    wrong, _ = explore(first(scene), lambda world: steps(world, rules))
    assert wrong
    assert expected in wrong.split(" <- ")[0]
