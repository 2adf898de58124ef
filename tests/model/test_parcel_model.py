"""A ledger in parcels, which is not built yet: no interleaving of its model breaks a promise, and
without any one of its rules some does."""

from __future__ import annotations

import pytest

from tests.model.parcel.model import explore
from tests.model.parcel.script import Rules
from tests.model.parcel.worker import Habits
from tests.model.parcel.world import Scene
from tests.size import LONG

TWO_CALLS = Scene()
"""One client submits 0 and 1, another 2, which has the key of 0."""
SAME_OP_ID = Scene(calls=((0, 1), (0, 2)))
ONE_KEY = Scene(keys=(0, 0, 0), calls=((0, 1), (2,)))
TWO_ON_KEY = Scene(keys=(0, 0), calls=((0,), (1,)))
OTHER_KEYS = Scene(keys=(0, 1), calls=((0,), (1,)))
ALONE = Scene(keys=(0,), calls=((0,),))
TOGETHER = Scene(keys=(0, 1), calls=((0, 1),))
SCENES = {
    "a worker dies": TWO_CALLS._replace(crashes=1),
    "an early end, a permanent error": TWO_CALLS._replace(early=1, failures=1),
    "an early end, a late worker, a temporary error": TOGETHER._replace(early=1, late=1, retries=1),
    "a lost answer, a late worker, a permanent error": TOGETHER._replace(
        answers_lost=1, late=1, failures=1
    ),
    "two calls, a late worker": TWO_CALLS._replace(late=1),
    "one op_id twice, a client begins anew, a temporary error": SAME_OP_ID._replace(
        clients_crash=1, retries=1
    ),
    "one key, a temporary error, a worker dies": ONE_KEY._replace(retries=1, crashes=1),
    "one key, a late worker, a permanent error": TWO_ON_KEY._replace(late=1, failures=1),
    "one key, effects behind their lease": TWO_ON_KEY._replace(late=2, fenced=True),
    "workers die, a ring is lost": OTHER_KEYS._replace(crashes=2, rings_lost=1),
    "a temporary error, a lost answer, a worker dies": TOGETHER._replace(
        retries=1, answers_lost=1, crashes=1
    ),
    "one key, a replay, a worker dies": TWO_ON_KEY._replace(failures=1, replays=1, crashes=1),
    "one key, a replay of poison": TWO_ON_KEY._replace(replays=1, crashes=2),
    "the route is switched": ALONE._replace(switches=2, crashes=1, answers_lost=1),
    "the server restarts, a rebase, a worker dies": TWO_ON_KEY._replace(
        server_restarts=1, rebases=1, crashes=1
    ),
    "restored": TWO_ON_KEY._replace(restores=1, failures=1),
    "restored, fenced backend": TWO_ON_KEY._replace(restores=1, fenced=True, retries=1),
    "restored, three on a key": ONE_KEY._replace(restores=1),
    "a window, a temporary error": OTHER_KEYS._replace(window=1, retries=1, crashes=1),
    "a window, two on a key": TWO_CALLS._replace(window=2, retries=1),
}
if LONG:
    SCENES |= {
        "a temporary error, a lost answer": TWO_CALLS._replace(retries=1, answers_lost=1),
        "one op_id twice, a lost answer, a worker dies": SAME_OP_ID._replace(
            answers_lost=1, crashes=1
        ),
    }
SCRIPTS = {
    "op_ids in parcels are not looked up": (
        Rules(ids_looked_up=False),
        SAME_OP_ID,
        "accepted twice",
    ),
    "records are not looked up": (
        Rules(records_looked_up=False),
        SAME_OP_ID._replace(retries=1),
        "accepted twice",
    ),
    "a record does not look into parcels": (
        Rules(record_looks_into_parcels=False),
        SAME_OP_ID,
        "accepted twice",
    ),
    "op_ids go when their parcel ends": (Rules(ids_outlive_end=False), TWO_CALLS, "cannot be read"),
    "a sweep looks at outcomes alone": (
        Rules(sweep_spares_open=False),
        TWO_CALLS,
        "what was accepted is lost",
    ),
    "keys of parcels are not looked up": (Rules(keys_looked_up=False), TWO_CALLS, "undone"),
    "keys of records are not looked up": (
        Rules(lists_looked_up=False),
        TWO_CALLS._replace(retries=1),
        "overtaken",
    ),
    "a record does not stand behind the parcel": (Rules(place_kept=False), TWO_CALLS, "undone"),
    "a replay does not stand behind the parcel": (
        Rules(replay_keeps_place=False),
        TWO_ON_KEY._replace(failures=1, replays=1),
        "undone",
    ),
    "a replay has a mark of its own": (
        Rules(replay_keeps_mark=False),
        ALONE._replace(retries=1, failures=1, replays=1),
        "took effect twice",
    ),
    "what leaves a parcel goes to the end of its key": (
        Rules(unpacked_in_place=False),
        TWO_CALLS._replace(retries=1),
        "overtaken",
    ),
    "what leaves a parcel leaves its key open": (
        Rules(unpacked_holds_key=False),
        TWO_CALLS._replace(retries=1),
        "overtaken",
    ),
    "a parcel that ends keeps its place": (
        Rules(end_gives_up_place=False),
        TWO_CALLS,
        "open for ever",
    ),
    "a parcel that ends wakes nobody behind it": (
        Rules(end_hands_over=False),
        TWO_CALLS,
        "open for ever",
    ),
    "a take is not kept for its token": (
        Rules(take_kept=False),
        TOGETHER._replace(answers_lost=1),
        "no worker knew",
    ),
    "a take that is asked for again has the former lease": (
        Rules(take_renews_lease=False),
        TOGETHER._replace(answers_lost=1, late=1, failures=1),
        "took effect twice",
    ),
    "tokens are not compared": (
        Rules(token_compared=False),
        TWO_ON_KEY._replace(late=1, failures=1),
        "after its end",
    ),
    "what unpacks a late parcel does not look again": (
        Rules(unpacking_looks=False),
        ALONE._replace(late=1),
        "cannot be read",
    ),
    "a take enters no era": (
        Rules(take_enters_era=False),
        TWO_ON_KEY._replace(restores=1),
        "took effect twice",
    ),
    "a parcel of before is a first attempt": (
        Rules(older_is_takeover=False),
        TWO_ON_KEY._replace(restores=1),
        "took effect twice",
    ),
    "a parcel takes one number": (
        Rules(number_a_command=False),
        ONE_KEY._replace(crashes=1),
        "another's effect",
    ),
    "numbers by the counter alone": (
        Rules(number_follows_time=False),
        TWO_ON_KEY._replace(restores=1, fenced=True),
        "another's effect",
    ),
    "a ring counts for ever": (
        Rules(bell_ends=False),
        OTHER_KEYS._replace(rings_lost=1),
        "open for ever",
    ),
    "a drain is at work for ever": (
        Rules(busy_ends=False),
        OTHER_KEYS._replace(crashes=1),
        "open for ever",
    ),
    "nobody rings again": (Rules(rings_again=False), ALONE._replace(rings_lost=1), "open for ever"),
    "the end of a record lets no parcel go": (
        Rules(end_of_record_lets_go=False),
        OTHER_KEYS._replace(window=1, retries=1),
        "open for ever",
    ),
}
HABITS = {
    "the fence is read before the take": (
        Habits(fence_behind_take=False),
        ALONE._replace(switches=1),
        "former route",
    ),
    "takeovers do not look": (
        Habits(takeover_looks=False),
        ALONE._replace(crashes=1),
        "took effect twice",
    ),
    "numbers are not compared": (
        Habits(numbers_compared=False),
        TWO_ON_KEY._replace(late=2, fenced=True),
        "took effect twice",
    ),
    "what is behind a temporary error goes on": (
        Habits(stops_behind_retry=False),
        ONE_KEY._replace(retries=1),
        "overtaken",
    ),
}


@pytest.mark.parametrize("name", SCENES)
def test_nothing_is_lost_doubled_disordered_or_open_for_ever(name: str) -> None:
    wrong, states = explore(SCENES[name], Rules())
    assert wrong == ""
    assert states > 200, "the scene is too small to mean anything"


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_rule_of_the_scripts_is_needed(name: str) -> None:
    rules, scene, expected = SCRIPTS[name]
    wrong, _ = explore(scene, rules)
    assert expected in wrong.split(" <- ")[0]


@pytest.mark.parametrize("name", HABITS)
def test_each_habit_of_the_workers_is_needed(name: str) -> None:
    habits, scene, expected = HABITS[name]
    wrong, _ = explore(scene, Rules(), habits)
    assert expected in wrong.split(" <- ")[0]
