"""The arithmetic of the comparison with other queues: ratios within rounds, and their aims."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmarks.figure import Spread
from benchmarks.queues.compare import NAMES, PACED, figures_of, print_table
from benchmarks.queues.library import CEILING
from benchmarks.queues.measure import Cpu, Paced, Turn, turn_size
from benchmarks.queues.ratio import ROUNDS, RUNS, Ratio, quartiles, ratios

ROUNDS_ALL = RUNS * ROUNDS
MOODS = [1.0, 0.5, 2.0, 1.0, 0.25, 1.0, 3.0, 1.0, 1.0]
"""How fast the machine is in each round."""


def turns_of(rate: float, micros: float = 100.0) -> list[Turn]:
    cpu = Cpu(micros / 2, micros / 4, micros / 4)
    return [Turn(int(1e6), 1e6 / (rate * mood), cpu, 0.2) for mood in MOODS]


def paced_of(p50: float) -> list[Paced]:
    return [Paced(turn, Spread([p50])) for turn in turns_of(40)[:RUNS]]


def test_a_ratio_is_of_one_round_so_that_the_moods_of_the_machine_cancel() -> None:
    turns = {name: turns_of(100) for name in NAMES}
    turns |= {"dramatiq": turns_of(1000), "signalbox 100": turns_of(12_000)}
    found = {each.name: each for each in ratios(turns, {})}
    its = found["signalbox 100 to the best other queue's single puts, commands/s"]
    assert its.values == pytest.approx([12.0] * ROUNDS_ALL)
    assert its.least == 10.0
    assert its.apart == pytest.approx(0)
    assert found["signalbox 100 to the ceiling, commands/s"].least == 0.6
    assert found["signalbox 100 deletes to bare Celery's single puts, commands/s"].least == 30.0


def test_how_far_three_runs_are_apart_is_that_of_their_medians() -> None:
    ratio = Ratio("faster", [10, 10, 99, 12, 12, 1, 11, 11, 11], least=10)
    assert ratio.apart == pytest.approx(2 / 11 * 100)
    value, apart = ratio.figures()
    assert (value.value, value.kept) == (11, True)
    assert (apart.unit, apart.kept) == ("%", True)


def test_no_ratio_to_the_best_queue_unless_all_were_measured() -> None:
    turns = {"signalbox": turns_of(2), "celery": turns_of(1)}
    assert [each.name for each in ratios(turns, {})] == [
        "signalbox to bare Celery's single puts, commands/s",
        "signalbox to bare Celery, processor time",
    ]


def test_an_aim_that_is_missed_is_shown_as_missed() -> None:
    paced = {"signalbox": paced_of(9), "celery": paced_of(6)}
    figures = [figure for each in ratios({}, paced) for figure in each.figures()]
    p50 = next(figure for figure in figures if figure.name.endswith("p50"))
    assert p50.value == pytest.approx(1.5)
    assert p50.kept is False


def test_each_figure_has_a_name_of_its_own_and_the_table_has_every_row() -> None:
    turns = {name: turns_of(100) for name in NAMES}
    paced = {name: paced_of(5) for name in PACED}
    figures = figures_of(turns, paced)
    assert len({figure.name for figure in figures}) == len(figures)
    assert [f.at for f in figures if f.series == "puts a submit"] == [
        *(1, 3, 10, 30, 100, 300, 500),
        None,
    ]
    page = io.StringIO()
    print_table(Console(file=page, width=200), turns, "always")
    assert CEILING in page.getvalue()


def test_a_turn_has_full_calls_enough_for_all_producers_and_an_end() -> None:
    assert turn_size(16_000, 100, 0.5) == 8_000
    assert turn_size(1_000, 100, 0.5) == 2_000  # not 500: five calls of each of four threads
    assert turn_size(50, 100, 0.5) == 100  # not 2,000, which would take 40 s
    assert turn_size(1e6, 100, 0.5) == 20_000
    assert quartiles([3.0]) == (3.0, 3.0, 3.0)
