"""Two operators, two processes: of each pair of switches one is made, and the other is told."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

from signalbox.commands.error import Conflict
from signalbox.commands.state import connect
from signalbox.routing.registry.registry import Registry
from tests.hash_chain import first_broken
from tests.integration.operating import SCOPE, kinds, point

ROUNDS = 200


def operate(name: str, state_url: str) -> None:
    """Switch the route from each revision that standard input names; print what came of it."""
    registry = Registry(connect(state_url))
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        base_dir = f"/{name}/{line.strip()}"
        try:
            route = point(registry, base_dir, name, if_revision=int(line))
            answer: dict[str, Any] = {"revision": route.revision, "base_dir": base_dir}
        except Conflict as error:
            answer = {"code": error.code, "message": error.message}
        print(json.dumps(answer), flush=True)  # noqa: T201


def test_of_two_processes_that_switch_at_once_one_wins_and_the_other_gets_the_current_revision(
    state_url: str,
) -> None:
    connect(state_url).server().flushall()
    registry = Registry(connect(state_url))
    revision = point(registry, "/start").revision
    wins = {"ann": 0, "bob": 0}
    with ExitStack() as ended:
        operators = {
            name: ended.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", __name__, name, state_url],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for name in wins
        }
        for operator in operators.values():
            ended.callback(operator.kill)
            assert operator.stdout is not None
            assert operator.stdout.readline() == "ready\n"
        for _ in range(ROUNDS):
            for operator in operators.values():
                assert operator.stdin is not None
                operator.stdin.write(f"{revision}\n")
            for operator in operators.values():
                assert operator.stdin is not None
                operator.stdin.flush()
            answers = {
                name: json.loads(operator.stdout.readline())
                for name, operator in operators.items()
                if operator.stdout
            }
            [winner] = [name for name, answer in answers.items() if "revision" in answer]
            [loser] = answers.keys() - {winner}
            wins[winner] += 1
            won, lost = answers[winner], answers[loser]
            assert lost["code"] == "CONFLICT"
            assert f"at revision {won['revision']}, not {revision}" in lost["message"]
            route = registry.get(SCOPE)
            assert route is not None
            assert (route.revision, route.config) == (
                won["revision"],
                {"base_dir": won["base_dir"]},
            )
            revision = route.revision
    assert min(wins.values()) > 0, "they never met"
    names = kinds(registry)
    assert (names.count("switched"), names.count("refused")) == (ROUNDS, ROUNDS)
    # What was applied made one line: each from what the one before had left.
    events = registry.events(0)
    applied = [event.data for event in events if not event.type.endswith("refused")]
    for earlier, later in itertools.pairwise(applied):
        assert earlier.after is not None
        assert later.before is not None
        assert later.before["config"] == earlier.after["config"]
    assert first_broken(events) is None


if __name__ == "__main__":
    operate(sys.argv[1], sys.argv[2])
