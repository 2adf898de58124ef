"""A short campaign: workers killed, frozen and struck at fault points; `make chaos` plays more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.campaign import Plan, run
from tests.chaos.killer import Harm
from tests.conftest import need_redis

FAULTS = "effect.after=kill@0.005;claim.after=kill@0.003;finish.after=kill@0.003"


@pytest.mark.timeout(300)
def test_commands_of_all_kinds_take_effect_once_while_their_workers_are_killed(
    tmp_path: Path,
) -> None:
    need_redis()
    plan = Plan(Harm(kills=7, freezes=1), commands_least=1500, workers=3, faults=FAULTS, seed=3)
    report = run(plan, tmp_path)
    assert (report.verdict.clean, report.verdict.notes, report.open) == (True, [], 0)
    assert report.kills >= 7
    assert report.verdict.commands >= 1500
