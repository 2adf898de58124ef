"""Eras, numbers and takeovers: no interleaving of the model breaks a promise, and without any one
of its rules some does."""

from __future__ import annotations

import pytest

from tests.model.ledger_model import Rules, Scene, explore
from tests.size import LONG

RESTORED = Scene(commands=2)
REBASED = Scene(commands=2, rebases=1)
RESTORED_TWICE = Scene(commands=2, restores=2, rebases=1, workers_restart=0)
RESTARTED = Scene(commands=2, restores=0, server_restarts=2)
CLOCK_BACK = Scene(commands=3, restores=0, server_restarts=1, clock_steps=1, workers_restart=0)
SCENES = {
    "restored": RESTORED,
    "restored, fenced backend": RESTORED._replace(fenced=True),
    "restored, a delete": RESTORED._replace(deletes=True),
    "restored, rebased": REBASED,
    "restarted twice": RESTARTED,
    "clock steps back": CLOCK_BACK,
    "clock steps back, fenced backend": CLOCK_BACK._replace(fenced=True),
}
if LONG:
    SCENES["restored twice, rebased"] = RESTORED_TWICE
MUTANTS = {
    "numbers by the counter alone": (
        Rules(number_follows_time=False),
        RESTORED._replace(fenced=True, commands=3),
        "dropped as older",
    ),
    "numbers by the time alone": (
        Rules(number_counts_on=False),
        CLOCK_BACK._replace(fenced=True),
        "dropped as older",
    ),
    "no eras": (Rules(era_by_server=False), RESTORED, "not noticed"),
    "what was open is a first attempt": (
        Rules(open_before_era_is_takeover=False),
        RESTORED,
        "undone",
    ),
    "takeovers do not look": (Rules(takeover_looks=False), RESTORED, "undone"),
    "workers remember nothing": (Rules(seen="nothing"), RESTORED, "not noticed"),
    "workers remember the clock alone": (Rules(seen="clock"), RESTORED, "not noticed"),
    "workers remember the number alone": (Rules(seen="number"), RESTORED, "not noticed"),
    "workers remember the era alone": (Rules(seen="era"), RESTORED, "not noticed"),
    "a finish enters no era": (Rules(finish_enters_era=False), RESTORED, "not noticed"),
    "a finish names no era": (Rules(finish_names_era=False), RESTARTED, "there was none"),
    "a rebase names no epoch": (Rules(rebase_names_epoch=False), REBASED, "there was none"),
    "a lost lease goes on": (Rules(leases_end_before_restore=False), RESTORED, "undone"),
    "a delete leaves nothing": (
        Rules(),
        RESTORED._replace(deletes=True, tombstones=False),
        "undone",
    ),
}


@pytest.mark.parametrize("name", SCENES)
def test_no_newer_value_is_undone_and_no_loss_goes_unnoticed(name: str) -> None:
    wrong, states = explore(SCENES[name], Rules())
    assert wrong == ""
    assert states > 1000, "the scene is too small to mean anything"


@pytest.mark.parametrize("name", MUTANTS)
def test_each_rule_is_needed(name: str) -> None:
    rules, scene, expected = MUTANTS[name]
    wrong, _ = explore(scene, rules)
    assert expected in wrong.split(" <- ")[0]
