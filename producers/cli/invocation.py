"""The state of one run of the command line: the context, and the values taken from it."""

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
    """Options that were not given and got their value from the context."""
    said: bool = False
    """Whether the values in use have been printed."""


_invocation = Invocation()


def begin(context: str | None) -> None:
    """Begin a run, with the value of `--context`."""
    global _invocation
    _invocation = Invocation(context)


def invocation() -> Invocation:
    """The present run."""
    return _invocation
