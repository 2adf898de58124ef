"""What `make bench-check` compares, and what is kept and written of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.compare import fallen, in_both
from benchmarks.figure import Figure, spell
from benchmarks.growth.flat import flat
from benchmarks.part import Part
from benchmarks.plot import draw
from benchmarks.record import DOCUMENT, keep, read, write
from benchmarks.scaling import PAGE, SOURCES, reckon
from benchmarks.scaling import write as write_scaling


def ratio(value: float, most: float | None = None, name: str = "faster") -> Figure:
    return Figure(name, value, "x", most=most, tolerance=0.35)


def part_of(name: str, figures: Sequence[Figure] = ()) -> Part:
    return Part(name, "c", f"Title of {name}", "What it is.", lambda _: figures)


@pytest.mark.parametrize("now", [10, 25, 6.6])
def test_a_ratio_within_its_tolerance_or_better_did_not_fall(now: float) -> None:
    assert fallen("bulk", [ratio(10)], [ratio(now)]) == []


def test_a_ratio_below_its_tolerance_fell() -> None:
    [lost] = fallen("bulk", [ratio(10)], [ratio(6.4)])
    assert (lost.part, lost.name, lost.was, lost.now, lost.tolerance) == (
        *("bulk", "faster"),
        *(10, 6.4, 0.35),
    )


@pytest.mark.parametrize(("now", "falls"), [(0.5, False), (1.3, False), (1.4, True)])
def test_of_a_ratio_that_is_to_be_small_more_is_worse(now: float, falls: bool) -> None:
    assert bool(fallen("routes", [ratio(1.0, most=1.15)], [ratio(now, most=1.15)])) is falls


def test_times_are_not_compared_nor_what_is_new() -> None:
    was = [Figure("a put", 1, "µs")]
    assert fallen("bulk", was, [Figure("a put", 900, "µs"), ratio(0.1)]) == []


def test_a_ratio_that_is_not_measured_any_more_fell() -> None:
    [lost] = fallen("bulk", [ratio(10)], [])
    assert lost.now is None


def test_what_fell_only_once_does_not_count() -> None:
    record = [ratio(10, name="one"), ratio(10, name="two")]
    first = fallen("bulk", record, [ratio(1, name="one"), ratio(10, name="two")])
    second = fallen("bulk", record, [ratio(2, name="one"), ratio(1, name="two")])
    assert [(each.name, each.now) for each in in_both(first, second)] == [("one", 2)]


def test_an_aim_is_kept_up_to_its_very_value() -> None:
    assert Figure("rows", 15_000, "rows/s", least=15_000).kept
    assert Figure("stale", 0, "commands", most=0).kept
    assert Figure("stale", 1, "commands", most=0).kept is False
    assert Figure("rows", 1, "rows/s").kept is None


def test_the_cost_of_growth_is_the_most_to_the_least_of_the_medians() -> None:
    *points, most_to_least = flat("routes", {10: [100, 90, 400], 1000: [120, 120, 120]})
    assert [(point.at, point.value) for point in points] == [(10, 100), (1000, 120)]
    assert most_to_least.value == pytest.approx(1.2)
    assert most_to_least.kept is False


def test_what_is_kept_comes_back_and_the_newest_replaces_what_was(tmp_path: Path) -> None:
    figures = [ratio(2.5), Figure("10 routes", 0.25, "µs", series="routes", at=10)]
    keep(part_of("bulk"), [ratio(1)], 3, tmp_path)
    keep(part_of("other"), [ratio(7)], 3, tmp_path)
    keep(part_of("bulk"), figures, 4, tmp_path)
    record = read(tmp_path)
    assert record["bulk"].figures == figures
    assert [figure.value for figure in record["other"].figures] == [7]
    assert "cores" in record["bulk"].facts


def test_the_document_has_aims_verdicts_and_what_is_missing(tmp_path: Path) -> None:
    missed = Figure("rows", 14_000, "rows/s", least=15_000)
    keep(part_of("bulk"), [ratio(2.5, most=3), missed], 4, tmp_path)
    write([part_of("bulk"), part_of("control")], tmp_path)
    page = (tmp_path / DOCUMENT).read_text()
    assert "## c. Rows, points and events in bulk" in page
    assert "| faster | 2.5 | x | ≤ 3 | met | 35% |" in page
    assert "| rows | 14,000 | rows/s | ≥ 15,000 | **missed** | – |" in page
    assert "- `control`: Title of control" in page


def test_a_drawing_is_made_of_what_is_there(tmp_path: Path) -> None:
    drawing = tmp_path / "figure.svg"
    draw(read(tmp_path), drawing)
    bar = Figure("Signalbox, single", 500, "commands/s", series="throughput")
    point = Figure("10 routes", 90, "µs", series="routes", at=10)
    keep(part_of("bulk"), [bar, point], 1, tmp_path)
    draw(read(tmp_path), drawing)
    assert drawing.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (15_000, "15,000"), (12_345.6, "12,346"), (24.04, "24.0"), (0.0864, "0.0864")],
)
def test_values_are_spelled_with_the_digits_that_count(value: float, words: str) -> None:
    assert spell(value) == words


def test_the_arithmetic_of_scaling_is_what_its_page_says() -> None:
    given = dict.fromkeys(SOURCES, 0.0) | {"redis": 60.0, "workers": 120.0, "kept": 1024.0}
    found = reckon(given)
    assert found["average"] == pytest.approx(11_574, rel=1e-4)
    assert found["peak"] == pytest.approx(34_722, rel=1e-4)
    assert found["one_redis"] == pytest.approx(10_000)
    assert found["redis_cores"] == pytest.approx(3.4722, rel=1e-4)
    assert found["worker_cores"] == pytest.approx(6.9444, rel=1e-4)
    a_day = 10**9 * 1024 / 2**30
    assert found["kept_86400"] == pytest.approx(a_day * (24 + 6) / 24)
    assert found["memory_nodes"] == pytest.approx(found["kept_86400"] / 32)
    assert (found["nodes"], found["fullest"]) == (38, 2), "memory needs more than cores"
    assert reckon(given | {"kept": 10.0})["nodes"] == 4, "cores need more than memory"


def test_the_page_on_scaling_is_written_once_all_its_figures_are_there(tmp_path: Path) -> None:
    keep(part_of("batch"), [], 1, tmp_path)
    assert not write_scaling(read(tmp_path), tmp_path)
    for part in {part for part, _ in SOURCES.values()}:
        its = [Figure(name, 50, "µs") for owner, name in SOURCES.values() if owner == part]
        keep(part_of(part), its, 1, tmp_path)
    assert write_scaling(read(tmp_path), tmp_path)
    page = (tmp_path / PAGE).read_text()
    assert "= 34,700 commands/s" in page
    assert "$" not in page
