"""Many errors of a command line, as few lines."""

from __future__ import annotations

from signalbox.commands.error import NotFound, RouteNotFound
from signalbox.producers.cli.error_groups import SHOWN, ErrorGroups


def test_errors_of_one_text_are_one_line_with_a_count() -> None:
    errors = ErrorGroups()
    firsts = [errors.add(f"f{number}", RouteNotFound("no route")) for number in range(3000)]
    firsts += [errors.add("g", NotFound("gone", next_step="look"))]
    assert [number for number, first in enumerate(firsts) if first] == [0, 3000]
    assert errors.lines() == [
        "ROUTE_NOT_FOUND f0 and 2999 more: no route",
        "NOT_FOUND g: gone. look",
    ]
    assert errors.repeated() == ["ROUTE_NOT_FOUND: 2999 more like f0"]


def test_errors_of_many_texts_are_shown_up_to_a_limit() -> None:
    errors = ErrorGroups()
    for number in range(SHOWN + 30):
        errors.add(f"f{number}", NotFound(f"no {number}"))
    *shown, last = errors.lines()
    assert shown == [f"NOT_FOUND f{number}: no {number}" for number in range(SHOWN)]
    assert last == "NOT_FOUND: 30 more like these"
    assert errors.repeated() == [last]
