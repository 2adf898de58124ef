"""What one run of the command line keeps for itself: the context, and what was taken from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signalbox.producers.cli.selection import Selection


@dataclass
class Invocation:
    """One run of the command line."""

    context: str | None = None
    """Name that was given with `--context`."""
    selection: Selection | None = None
    """What was selected, once that is known."""
    taken: list[str] = field(default_factory=list)
    """Options that were not given, and had their value from the context."""
    said: bool = False
    """Whether it was said what is used."""


_invocation = Invocation()


def begin(context: str | None) -> None:
    """A run begins, with the value of `--context`."""
    global _invocation
    _invocation = Invocation(context)


def invocation() -> Invocation:
    """The present run."""
    return _invocation
