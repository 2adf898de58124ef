"""Whether a ratio got worse than the one on record: what `make bench-check` decides by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.figure import Figure


@dataclass(frozen=True)
class Fallen:
    """A ratio that is worse than on record by more than its tolerance."""

    part: str
    name: str
    was: float
    now: float | None
    """None: it was not measured any more."""
    tolerance: float


def fallen(part: str, record: Iterable[Figure], measured: Iterable[Figure]) -> list[Fallen]:
    """The ratios of a part that got worse. Its times are not compared, nor what is new."""
    now = {figure.name: figure for figure in measured}
    return [
        Fallen(
            part,
            was.name,
            was.value,
            now[was.name].value if was.name in now else None,
            was.tolerance,
        )
        for was in record
        if was.tolerance is not None and _fell(was, was.tolerance, now.get(was.name))
    ]


def in_both(first: Sequence[Fallen], second: Sequence[Fallen]) -> list[Fallen]:
    """What fell twice, with the later value: once may be what else the machine did."""
    names = {each.name for each in first}
    return [each for each in second if each.name in names]


def _fell(was: Figure, tolerance: float, now: Figure | None) -> bool:
    if now is None:
        return True
    if was.less_is_better:
        return now.value > was.value * (1 + tolerance)
    return now.value < was.value * (1 - tolerance)
