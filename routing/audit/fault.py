"""A fault of the route log, as `signalbox audit verify` names it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """The first event at which the chain is broken."""

    revision: int
    """Revision of that event."""
    reason: str
    """What is wrong with it, as part of a sentence."""
