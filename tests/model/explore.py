"""Exhaustive exploration of a small model, breadth first: what is found is a shortest path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class State(Protocol):
    """A state of a model; hashable, and equal to another one from which the same follows."""

    @property
    def wrong(self) -> str:
        """Which promise is broken here, or ''."""
        ...


S = TypeVar("S", bound=State)


def explore(
    first: S,
    steps: Callable[[S], Iterable[tuple[str, S]]],
    most: int = 400_000,
    *,
    circles: bool = True,
) -> tuple[str, int]:
    """The first violation with its path, or '', and how many states there are.

    Where steps may not lead back to where they came from (`circles`), each run of the model has an
    end; what must be so at the end is for the steps to say.
    """
    came_from: dict[S, tuple[int, S | None, str]] = {first: (0, None, "")}
    following: list[list[int]] = []
    wave = [first]
    while wave:
        found: list[S] = []
        for state in wave:
            leads_to = []
            for step, after in steps(state):
                known = came_from.get(after)
                if known is not None:
                    leads_to.append(known[0])
                    continue
                leads_to.append(len(came_from))
                came_from[after] = (len(came_from), state, step)
                if after.wrong:
                    return _path(after, came_from), len(came_from)
                found.append(after)
            following.append(leads_to)
        wave = found
        assert len(came_from) < most, "the scene is too large to be explored"
    if not circles and _goes_round(following):
        return "it may go round for ever", len(came_from)
    return "", len(came_from)


def _goes_round(following: list[list[int]]) -> bool:
    """Whether a state follows from itself (A. B. Kahn, "Topological sorting", 1962)."""
    missing = [0] * len(following)
    for leads_to in following:
        for number in leads_to:
            missing[number] += 1
    free = [number for number, count in enumerate(missing) if not count]
    reached = 0
    while free:
        reached += 1
        for number in following[free.pop()]:
            missing[number] -= 1
            if not missing[number]:
                free.append(number)
    return reached < len(following)


def _path(state: S, came_from: dict[S, tuple[int, S | None, str]]) -> str:
    steps, at = [state.wrong], state
    while (origin := came_from[at])[1] is not None:
        steps.append(origin[2])
        at = origin[1]
    return " <- ".join(steps)
